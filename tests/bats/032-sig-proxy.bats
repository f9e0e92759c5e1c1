#!/usr/bin/env bats
# Signals sent to vpod itself.

load helpers

TRAPS='trap "echo got INT" INT; trap "echo got USR1" USR1; trap "echo got HUP" HUP; trap "echo got TERM; exit 42" TERM; echo ready; while :; do sleep 0.1; done'

@test "vpod run: signals reach the command" {
	start_vpod run --rm --network none $IMAGE sh -c "$TRAPS"
	wait_until 60 file_has "$T/started.out" ready
	for signal in INT USR1 HUP; do
		kill -"$signal" "$started"
		wait_until 20 file_has "$T/started.out" "got $signal"
	done
	kill -TERM "$started"
	ended 42
}

@test "vpod run --sig-proxy=false: signals end vpod, the container runs on" {
	start_vpod run --sig-proxy=false --name alone --network none $IMAGE sh -c "$TRAPS"
	wait_until 60 file_has "$T/started.out" ready
	kill -TERM "$started"
	ended 143
	assert "$(inspect_field alone '{{.State.Status}}')" = running
	assert "$(vpod logs alone)" !~ "got TERM"
}

@test "vpod attach and start --attach: signals reach the command" {
	run_vpod run --detach --name att --network none $IMAGE sh -c "$TRAPS"
	wait_until 20 log_has att ready
	start_vpod attach att
	sleep 0.5
	kill -USR1 "$started"
	wait_until 20 log_has att "got USR1"
	kill -TERM "$started"
	ended 42
	start_vpod start --attach att
	wait_until 60 file_has "$T/started.out" ready
	kill -TERM "$started"
	ended 42
}

@test "vpod run: interrupted while the machine boots, nothing is left" {
	start_vpod run --rm --name early --network none $IMAGE sh -c 'trap exit INT; while :; do sleep 0.1; done'
	starting() { [ -n "$(machine_processes "$T" | grep -F qemu-system)" ]; }
	wait_until 30 starting
	interrupted() { is_gone "$started" || ! kill -INT "$started"; }
	wait_until 60 interrupted
	wait "$started" || true
	run_vpod rm --all --force --time 0
	nothing_left "$T"
}
