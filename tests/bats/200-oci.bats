#!/usr/bin/env bats
# vpod as an OCI runtime: by its own command line, and under Podman.

load helpers

setup_file() {
	file_setup
	# Podman's own containers are in a store beside it, which other suites do not know.
	mkdir -p "$T/p" "$T/pr"
	printf '#!/bin/sh\nexec %q --cgroup-manager cgroupfs --root %q --runroot %q --storage-driver overlay --runtime %q "$@"\n' \
		"$(command -v podman)" "$T/p" "$T/pr" "$T/bin/vpod-oci" > "$T/bin/podman-vpod"
	chmod 0755 "$T/bin/podman-vpod"
	ln -s "$VPOD" "$T/bin/vpod-oci"
	podman-vpod load --quiet --input "$VPOD_TEST_IMAGE" > /dev/null 2>&1
}

teardown_file() {
	podman-vpod rm --all --force --time 0 > /dev/null 2>&1 || true
	podman-vpod system reset --force > /dev/null 2>&1 || true
	remove_dir "$T/p"
	remove_dir "$T/pr"
	rm -rf "$HOME/.cache/vpod" # engines pass on no XDG_CACHE_HOME
	file_teardown
}

teardown() {
	podman-vpod rm --all --force --time 0 > /dev/null 2>&1
	test_teardown
}

# pod CODE ARG...: run podman with the runtime and expect an exit code.
pod() {
	local expected=$1
	shift
	logged "podman$(printf ' %q' "$@")"
	capture timeout --foreground --kill-after=10 "$VPOD_TIMEOUT" podman-vpod "$@"
	[ "$status" -eq "$expected" ] || die "exit code is $status; expected $expected"
}

@test "vpod oci: podman runs a container in a machine" {
	pod 7 run --rm --network none $IMAGE sh -c 'uname -r; id -u; echo oops >&2; exit 7'
	assert "${lines[0]}" =~ "-vpod$" "the guest's kernel"
	assert "${lines[1]}" = 0
	assert "$stderr" =~ "oops"
	pod 127 run --rm --network none $IMAGE no-such-command
	assert "$stderr" =~ "not found"
	pod 0 run --rm --network none --user 1000:1000 --workdir /tmp --env X=y $IMAGE sh -c 'id -u; pwd; echo $X'
	assert "$output" = $'1000\n/tmp\ny'
	capture sh -c "echo piped | podman-vpod run --rm -i --network none $IMAGE cat"
	assert "$output" = piped
}

@test "vpod oci: podman's exec, stop, logs and states" {
	pod 0 run -d --name c --network none $IMAGE sh -c 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.1; done'
	pod 0 inspect --format '{{.State.Status}}' c
	assert "$output" = running
	pod 5 exec c sh -c 'echo inside; exit 5'
	assert "$output" = inside
	pod 127 exec c no-such-command
	capture sh -c "echo given | podman-vpod exec -i c cat"
	assert "$output" = given
	pod 0 exec --user 5 c id -u
	assert "$output" = 5
	pod 0 stop c
	pod 0 logs c
	assert "$output" = $'up\nbye'
	pod 0 inspect --format '{{.State.Status}} {{.State.ExitCode}}' c
	assert "$output" = "exited 3"
	pod 0 start c
	pod 0 inspect --format '{{.Id}}' c
	id=$output
	assert "$(XDG_RUNTIME_DIR=$T/podman "$VPOD" oci list --quiet)" =~ "$id"
	pod 0 rm --force --time 0 c
	assert "$(XDG_RUNTIME_DIR=$T/podman "$VPOD" oci list --quiet)" !~ "$id"
}

@test "vpod oci: binds are shared, and read-only ones protected" {
	mkdir "$T/vol"
	echo hello > "$T/vol/f"
	pod 0 run --rm --network none -v "$T/vol:/v:ro" -v "$T/vol/f:/etc/one" $IMAGE sh -c 'cat /v/f /etc/one; touch /v/x || echo protected'
	assert "$output" = $'hello\nhello\nprotected'
	pod 0 run --rm --network none -v "$T/vol:/v" $IMAGE sh -c 'echo back > /v/new'
	assert "$(cat "$T/vol/new")" = back
	pod 0 run --rm --network none --tmpfs /t -v "$T/vol:/t/deep:ro" $IMAGE cat /t/deep/f
	assert "$output" = hello
}

@test "vpod oci: binds have the options they are given" {
	mkdir -p "$T/hard/soft" "$T/soft"
	cp "$(command -v busybox)" "$T/hard/echo"
	cp "$T/hard/echo" "$T/soft"
	pod 0 run --rm --network none -v "$T/hard:/h:noexec,nosuid,nodev" -v "$T/soft:/h/soft:exec,suid,dev" --tmpfs /t -v "$T/hard:/t/h:noexec,ro" $IMAGE \
		sh -c '/h/echo no; echo $?; /h/soft/echo yes; /t/h/echo no; echo $?; touch /h/x && sed -n "s,^.* \(/h\|/h/soft\|/t/h\) \([^ ]*\)\,relatime - 9p.*,\1 \2,p" /proc/self/mountinfo'
	assert "$output" = $'126\nyes\n126\n/h rw,nosuid,nodev,noexec\n/h/soft rw\n/t/h ro,noexec'
	# What is bound below a read-only root stays writable.
	pod 0 run --rm --network none --read-only -v "$T/soft:/s" -v "$T/hard:/h:ro" $IMAGE \
		sh -c 'touch /s/new && echo written; touch /x || echo protected; touch /h/y || echo protected'
	assert "$output" = $'written\nprotected\nprotected'
}

@test "vpod oci: an overlay volume keeps its directory as it is" {
	mkdir "$T/lower"
	echo below > "$T/lower/f"
	pod 0 run --rm --network none -v "$T/lower:/o:O" $IMAGE sh -c 'cat /o/f; echo over > /o/f; touch /o/g; cat /o/f'
	assert "$output" = $'below\nover'
	assert "$(cat "$T/lower"/*)" = below
}

@test "vpod oci: what a machine cannot give is refused" {
	pod 126 run --rm --network none --pid host $IMAGE true || pod 125 run --rm --network none --pid host $IMAGE true || pod 1 run --rm --network none --pid host $IMAGE true
	assert "$stderr" =~ "kernel of its own|own kernel"
	run_vpod 125 oci state none
	assert "$stderr" =~ "does not exist"
	run_vpod oci features
	assert "$output" =~ '"createRuntime"'
}

# bundle makes one in $T/b with a command.
bundle() {
	rm -rf "$T/b"
	mkdir -p "$T/b/rootfs/bin" "$T/b/rootfs/proc" "$T/b/rootfs/dev"
	cp "$(command -v busybox)" "$T/b/rootfs/bin/busybox"
	ln -s busybox "$T/b/rootfs/bin/sh"
	"$PYTHON" - "$T/b/config.json" "$@" <<-'PY'
		import json, sys
		json.dump({
		    "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "h",
		    "process": {"args": sys.argv[2:], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
		    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
		    "hooks": {"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", "cat > " + sys.argv[1] + ".stopped"], "env": ["PATH=/bin:/usr/bin"]}]},
		    "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]},
		}, open(sys.argv[1], "w"))
	PY
}

@test "vpod oci: the life of a bundle" {
	skip_if_rootless "who calls a runtime as an ordinary user is in a user namespace"
	bundle sh -c 'echo $0 alive; exec sleep 1000'
	oci() { run_vpod "$1" oci --root "$T/oci" "${@:2}"; }
	timeout 60 "$VPOD" oci --root "$T/oci" create --bundle "$T/b" --pid-file "$T/pid" one > "$T/out" 2> "$T/err" 3>&- < /dev/null
	oci 0 state one
	assert "$output" =~ '"status": "created"'
	pid=$(cat "$T/pid")
	assert "$output" =~ "\"pid\": $pid"
	oci 125 create --bundle "$T/b" one
	assert "$stderr" =~ "exists already"
	oci 125 delete one
	assert "$stderr" =~ "cannot delete"
	oci 0 start one
	oci 125 start one
	oci 0 state one
	assert "$output" =~ '"status": "running"'
	oci 4 exec one sh -c 'exit 4'
	oci 0 kill one KILL
	for _ in $(seq 100); do
		[ -e "/proc/$pid" ] || break
		sleep 0.1
	done
	oci 0 state one
	assert "$output" =~ '"status": "stopped"'
	oci 125 kill one
	assert "$stderr" =~ "not running"
	oci 0 delete one
	assert "$(cat "$T/b/config.json.stopped")" =~ '"id":"one"'
	oci 125 delete one
	assert "$(cat "$T/out")" =~ "alive"

	# Killing what stands for it ends the machine, and leaves what delete removes.
	timeout 60 "$VPOD" oci --root "$T/oci" create --bundle "$T/b" --pid-file "$T/pid" two > "$T/out" 2> "$T/err" 3>&- < /dev/null
	kill -9 "$(cat "$T/pid")"
	oci 0 delete --force two
	assert "$(ls "$T/oci")" = ""
}

@test "vpod oci: a create that is killed leaves nothing that delete does not remove" {
	skip_if_rootless "the caller of a runtime is in a user namespace"
	bundle sh -c 'exec sleep 1000'
	timeout 60 "$VPOD" oci --root "$T/oci" create --bundle "$T/b" whole > "$T/out" 2> "$T/err" 3>&- < /dev/null # makes the template
	run_vpod oci --root "$T/oci" delete --force whole
	for delay in 0.005 0.01 0.015 0.02 0.03 0.05; do
		"$VPOD" oci --root "$T/oci" create --bundle "$T/b" killed > "$T/out" 2> "$T/err" 3>&- < /dev/null &
		sleep $delay
		kill -9 $! || true
		wait $! || true
		sleep 1 # what stands for it comes up meanwhile
		run_vpod oci --root "$T/oci" delete --force killed
		wait_until 10 no_shim
		assert "$(ls "$T/oci" 2>/dev/null)" = ""
	done
}

# no_shim: no process is left that names the containers' directory.
no_shim() { ! pgrep -u "$(id -u)" -f "oci --root $T/oci" > /dev/null; }

@test "vpod oci: kill sends the signal it is given" {
	skip_if_rootless "who calls a runtime as an ordinary user is in a user namespace"
	for signal in TERM USR1 USR2; do
		bundle sh -c "trap ': > /$signal; exit 3' $signal; : > /ready; while :; do :; done"
		timeout 60 "$VPOD" oci --root "$T/oci" create --bundle "$T/b" --pid-file "$T/pid" three > "$T/out" 2> "$T/err" 3>&- < /dev/null
		run_vpod oci --root "$T/oci" start three
		wait_until 30 test -e "$T/b/rootfs/ready"
		run_vpod oci --root "$T/oci" kill three "$signal"
		wait_until 30 is_gone "$(cat "$T/pid")"
		assert "$(ls "$T/b/rootfs/$signal")" = "$T/b/rootfs/$signal"
		run_vpod oci --root "$T/oci" delete three
	done
}
