#!/usr/bin/env bats
# vpod image scp. ssh is replaced by a program that gives "hosts" image stores of
# their own: what is tested is vpod's part, and no server is needed.

load helpers

setup_file() {
	file_setup
	mkdir "$T/hosts"
	cat > "$T/bin/ssh" <<-SSH
		#!/bin/sh
		[ "\$1" = -- ] || exit 9
		host=\${2#*@}
		[ "\$host" != unreachable ] || { echo "ssh: connect to host \$host port 22: Connection refused" >&2; exit 255; }
		mkdir -p "$T/hosts/\$host/bin"
		printf '#!/bin/sh\nexec "$VPOD" --root "$T/hosts/%s/d" --runroot "$T/hosts/%s/r" "\$@"\n' "\$host" "\$host" '\$@' > "$T/hosts/\$host/bin/vpod"
		chmod 0755 "$T/hosts/\$host/bin/vpod"
		PATH=$T/hosts/\$host/bin:\$PATH exec sh -c "\$3"
	SSH
	chmod 0755 "$T/bin/ssh"
}

# on HOST ARG...: vpod there.
on() {
	local host=$1
	shift
	"$VPOD" --root "$T/hosts/$host/d" --runroot "$T/hosts/$host/r" "$@"
}

teardown_file() {
	for host in one two; do
		on "$host" rmi --all --force > /dev/null 2>&1 || true
		umount "$T/hosts/$host/d/overlay" 2>/dev/null || true
	done
	file_teardown
}

@test "vpod image scp: there, on, and back" {
	run_vpod image scp --quiet $IMAGE me@one::
	assert "$output" = "Loaded image: $IMAGE"
	assert "$stderr" = ""
	assert "$(on one images --format '{{.Repository}}:{{.Tag}}')" = $IMAGE
	run_vpod image scp one::$IMAGE two::
	assert "$stderr" =~ "Copying blob"
	assert "$(on two images --no-trunc --quiet)" = "$(vpod images --no-trunc --quiet)"
	run_vpod rmi $IMAGE
	run_vpod image scp two::$IMAGE
	run_vpod run --rm --network none $IMAGE cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "vpod image scp: what is wrong is named" {
	run_vpod 125 image scp localhost/none one::
	assert "$stderr" =~ "localhost/none: image not known"
	assert "$stderr" =~ "Error: save image localhost/none: "
	run_vpod 125 image scp $IMAGE unreachable::
	assert "$stderr" =~ "Connection refused"
	assert "$stderr" =~ "Error: load image $IMAGE on unreachable: "
	run_vpod 125 image scp unreachable::$IMAGE
	run_vpod 125 image scp $IMAGE
	run_vpod 125 image scp "one::x;touch $T/evil"
	[ ! -e "$T/evil" ]
}
