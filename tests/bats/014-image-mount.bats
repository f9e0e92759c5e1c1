#!/usr/bin/env bats
# vpod image mount and unmount.

load helpers

# in_namespace SCRIPT: run a shell where mounts of images are seen. $1 to $3 are
# vpod with its directories.
in_namespace() {
	local start=(sh -c)
	! is_rootless || start=(buildah unshare sh -c)
	run_logged "${start[@]}" "vpod() { \"$VPOD\" --root \"$T/d\" --runroot \"$T/r\" \"\$@\"; }; $1"
}

@test "vpod image mount: the files are there until it is unmounted" {
	in_namespace '
		set -e
		dir=$(vpod image mount '$IMAGE')
		cat "$dir/etc/motd"
		if touch "$dir/x" 2>/dev/null; then echo writable; fi
		vpod image mount
		vpod image mount --format json
		vpod image unmount '$IMAGE'
		test ! -e "$dir/etc/motd"
		vpod image mount
		vpod image unmount '$IMAGE'
		echo end'
	assert "${lines[0]}" = "vpod demo image"
	assert "${lines[1]}" =~ ^"$IMAGE  $T/d/overlay/"
	assert "$output" =~ '"mountpoint": "'
	assert "$output" !~ writable
	assert "${lines[-2]}" =~ '^[0-9a-f]{64}$' "what was unmounted"
	assert "${lines[-1]}" = end
}

@test "vpod image mount: counted, with other tools" {
	in_namespace '
		set -e
		vpod image mount '$IMAGE' > /dev/null
		vpod image mount --all > /dev/null
		vpod image unmount --all > /dev/null
		dir=$(vpod image mount | awk "{print \$2}")
		cat "$dir/etc/motd"
		vpod image unmount --all --force > /dev/null
		test -z "$(vpod image mount)"
		podman image mount '$IMAGE' > /dev/null
		vpod image mount
		vpod image unmount '$IMAGE' > /dev/null
		podman image mount
		echo end'
	assert "${lines[0]}" = "vpod demo image"
	assert "${lines[1]}" =~ ^"$IMAGE "
	assert "${lines[2]}" = end "mounts left"
}

@test "vpod image mount: what is wrong is named" {
	skip_if_rootless "ordinary users are told something else"
	run_vpod 125 image mount localhost/none
	assert "$stderr" =~ "localhost/none"
	run_vpod 125 image unmount localhost/none
	run_vpod 125 image mount $IMAGE localhost/none
	run_vpod image mount
	assert "$output" = "" "mounted all the same"
}

@test "vpod image mount: an ordinary user is told where it works" {
	skip_unless_rootless "root mounts for all to see"
	run_vpod 125 image mount $IMAGE
	assert "$stderr" =~ "Hint: run it below .podman unshare"
	run_vpod 125 image unmount $IMAGE
	assert "$stderr" =~ "unshare"
}
