#!/usr/bin/env bats
# The run directory goes, as that of a user does at the end of the last login, or
# is another than it was: a machine that lives is one that runs, and is reached.

load helpers

machines() { machine_processes "$T" | grep -c ' .*qemu-system'; }

# other_login ARG...: vpod with the run directory of another login.
other_login() {
	logged "vpod --runroot …/r2$(printf ' %q' "$@")"
	capture timeout --foreground --kill-after=10 "$VPOD_TIMEOUT" "$VPOD" --root "$T/d" --runroot "$T/r2" "$@"
	[ "$status" -eq 0 ] || die "exit code is $status; expected 0"
}

@test "the run directory goes: the container is still seen, reached and stopped" {
	run_vpod run --detach --name r --network none $IMAGE sh -c 'echo x >> /runs; echo up; exec sleep 1000'
	qemu=$(inspect_field r '{{.State.Pid}}')
	wait_until 60 log_has r up
	start_vpod attach r
	sleep 0.5
	rm -rf "$T/r/vpod"
	run_vpod ps --format '{{.Names}} {{.State}}'
	assert "$output" = "r running"
	run_vpod start r
	assert "$(inspect_field r '{{.State.Pid}}')" = "$qemu" "QEMU"
	assert "$(machines)" = 1 "machines"
	run_vpod 2 rm r
	run_vpod exec r cat /runs
	assert "$output" = x
	run_vpod logs r
	assert "$output" = up
	run_vpod stop --time 0 r
	assert "$stderr" = "" "standard error of stop"
	ended 137
	has_state r exited
	wait_until 10 is_gone "$qemu"
	run_vpod start r
	up_twice() { [ "$(vpod logs r | grep -c up)" = 2 ]; }
	wait_until 60 up_twice
	run_vpod exec r cat /runs
	assert "$output" = $'x\nx' "the disk is that of before"
	run_vpod rm --force --time 0 r
	nothing_left "$T"
}

@test "the run directory goes, and the monitor is stopped: rm --force ends the machine" {
	run_vpod run --detach --name f --network none $IMAGE sleep 1000
	qemu=$(inspect_field f '{{.State.Pid}}')
	monitor=$(inspect_field f '{{.State.ConmonPid}}')
	kill -STOP "$monitor"
	rm -rf "$T/r/vpod"
	run_vpod ps --format '{{.Names}} {{.State}}'
	assert "$output" = "f running"
	assert "$stderr" =~ "cannot be reached"
	VPOD_TIMEOUT=90 run_vpod rm --force --time 0 f
	wait_until 10 is_gone "$qemu"
	run_vpod ps --all --quiet
	assert "$output" = ""
	nothing_left "$T"
}

@test "another login has another run directory" {
	run_vpod run --detach --name o --network none $IMAGE sh -c 'echo up; exec sleep 1000'
	other_login ps --format '{{.Names}} {{.State}}'
	assert "$output" = "o running"
	other_login start o
	assert "$(machines)" = 1 "machines"
	other_login exec o echo alive
	assert "$output" = alive
	other_login restart --time 0 o
	assert "$(machines)" = 1 "machines"
	run_vpod exec o echo alive
	assert "$output" = alive
	run_vpod stop --time 0 o
	other_login rm o
	run_vpod ps --all --quiet
	assert "$output" = ""
	assert "$(find "$T/r2" ! -type d)" = "" "run files left"
}

@test "a session outlives its XDG_RUNTIME_DIR" {
	skip_unless_rootless "root's run directory is always there"
	run_vpod run --detach --name s --network none $IMAGE sleep 1000
	capture env XDG_RUNTIME_DIR="$T/gone" "$VPOD" --root "$T/d" exec s echo alive
	assert "$status $output" = "0 alive"
	capture env XDG_RUNTIME_DIR="$T/gone" "$VPOD" --root "$T/d" rm --force --time 0 s
	assert "$status $output" = "0 s"
	[ ! -e "$T/gone" ] || die "it was made anew"
	rm -rf "$TMPDIR/vpod-run-$(id -u)"
}
