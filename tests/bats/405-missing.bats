#!/usr/bin/env bats
# What is missing on the host: programs, permissions, a place to write.

load helpers

# path_without PROGRAM...: a PATH that has everything but these.
path_without() {
	local dir=$T/path program
	rm -rf "$dir"
	mkdir "$dir"
	for program in /usr/sbin/* /sbin/* /usr/bin/* /bin/*; do
		case " $* " in
		*" ${program##*/} "*) ;;
		*) ln -sf "$program" "$dir/${program##*/}" ;;
		esac
	done
	echo "$dir"
}

@test "no QEMU" {
	PATH=$(path_without qemu-system-x86_64) run_vpod 125 run --rm --network none $IMAGE true
	assert "$stderr" =~ "qemu-system-x86_64"
	assert "$stderr" =~ "qemu-system-x86[^_]" "the package that has it"
	run_vpod ps --all --quiet
	assert "$output" = "" "containers"
	nothing_left "$T"
}

@test "no mkfs.erofs" {
	run_vpod rmi --force $IMAGE
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
	path=$(path_without mkfs.erofs)
	PATH=$path run_vpod 125 run --rm --network none $IMAGE true
	assert "$stderr" =~ "mkfs.erofs"
	assert "$stderr" =~ "erofs-utils" "the package that has it"
	run_vpod ps --all --quiet
	assert "$output" = "" "containers"
	run_vpod run --rm --network none $IMAGE true
	PATH=$path run_vpod run --rm --network none $IMAGE echo "the disk is there"
	assert "$output" = "the disk is there"
}

@test "no mkfs.ext4" {
	rm -rf "$T/d/vpod/cache"
	PATH=$(path_without mkfs.ext4 mke2fs mkfs.ext3 mkfs.ext2) run_vpod "?" run --rm --network none --storage-opt size=100m $IMAGE true
	if [ "$status" -ne 0 ]; then
		assert "$status" -eq 125
		assert "$stderr" =~ "e2fsprogs"
	fi
}

@test "no passt: QEMU's own network takes its place" {
	PATH=$(path_without passt passt.avx2) run_vpod run --rm $IMAGE sh -c 'ip -4 route show default | grep -c via'
	assert "$output" = 1
}

@test "no virtiofsd is told" {
	[ ! -e /usr/lib/qemu/virtiofsd ] || skip "virtiofsd lies outside of PATH here and cannot be hidden"
	run_vpod 125 run --rm --network none --rootfs-mode virtiofs $IMAGE true
	assert "$stderr" =~ "virtiofsd"
}

@test "no guest kernel beside the binary" {
	mkdir "$T/bare"
	cp "$VPOD" "$T/bare/vpod"
	VPOD=$T/bare/vpod run_vpod 125 run --rm --network none $IMAGE true
	assert "$stderr" =~ "vmlinux"
	assert "$stderr" =~ "make" "what to do"
	VPOD_LIBDIR=$(dirname "$VPOD") VPOD=$T/bare/vpod run_vpod run --rm --network none $IMAGE echo found
	assert "$output" = found
	rm -r "$T/bare"
}

@test "no policy.json" {
	[ ! -e /etc/containers/policy.json ] || skip "this host has /etc/containers/policy.json"
	mv "$HOME/.config/containers/policy.json" "$T/policy"
	run_vpod "?" load --input "$VPOD_TEST_IMAGE"
	mv "$T/policy" "$HOME/.config/containers/policy.json"
	assert "$status" -eq 125
	assert "$stderr" =~ "policy.json"
}

@test "a data directory that cannot be written to" {
	skip_if_root_writes_everywhere
	mkdir -m 0500 "$T/readonly"
	capture "$VPOD" --root "$T/readonly" --runroot "$T/r" ps
	assert "$status" -eq 125
	assert "$stderr" =~ "$T/readonly"
	assert "$stderr" =~ "[Pp]ermission denied"
	capture env HOME="$T/readonly" XDG_DATA_HOME= "$VPOD" ps
	assert "$status" -eq 125
	assert "$stderr" =~ "$T/readonly"
	chmod 0700 "$T/readonly"
	rmdir "$T/readonly"
}

skip_if_root_writes_everywhere() { is_rootless || skip "root may write everywhere; 'read-only file system' is tested in 410-disk-full"; }

@test "a read-only home does not keep containers from running" {
	skip_if_root_writes_everywhere
	mkdir -p "$T/rohome/.config/containers"
	cp "$HOME/.config/containers/policy.json" "$T/rohome/.config/containers"
	chmod 0500 "$T/rohome"
	XDG_CACHE_HOME='' HOME=$T/rohome run_vpod run --rm --network none $IMAGE echo runs
	assert "$output" = runs
	chmod 0700 "$T/rohome"
	rm -r "$T/rohome"
}

@test "no HOME and no XDG_RUNTIME_DIR" {
	skip_unless_rootless "root's directories do not depend on the environment"
	capture env -u HOME -u XDG_DATA_HOME -u XDG_RUNTIME_DIR "$VPOD" ps
	assert "$status" -eq 125
	assert "$stderr" =~ "HOME"
}
