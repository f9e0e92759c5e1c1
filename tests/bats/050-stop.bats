#!/usr/bin/env bats
# vpod stop.

load helpers

POLITE='trap "echo asked; exit 0" TERM; echo up; while :; do sleep 0.1; done'
STUBBORN='trap "echo asked" TERM; echo up; while :; do sleep 0.1; done'

@test "vpod stop: asks, and returns when all is gone" {
	run_vpod run --detach --name p --network none $IMAGE sh -c "$POLITE"
	wait_until 20 log_has p up
	SECONDS=0
	run_vpod stop p
	assert "$output" = p
	assert "$SECONDS" -lt 9 "seconds"
	assert "$(inspect_field p '{{.State.Status}} {{.State.ExitCode}}')" = "exited 0"
	assert "$(vpod logs p | tail -n 1)" = asked
	assert "$(machine_processes "$T")" = "" "processes"
	run_vpod stop p
	assert "$output" = p "of a stopped container"
}

@test "vpod stop --time: then SIGKILL" {
	run_vpod run --detach --name s --network none $IMAGE sh -c "$STUBBORN"
	wait_until 20 log_has s up
	SECONDS=0
	run_vpod stop -t 2 s
	assert "$SECONDS" -ge 2
	assert "$SECONDS" -lt 9
	assert "$(inspect_field s '{{.State.ExitCode}}')" = 137
	assert "$(vpod logs s | tail -n 1)" = asked
}

@test "vpod stop: --stop-signal and --stop-timeout of the container" {
	run_vpod run --detach --name usr --stop-signal USR1 --network none $IMAGE sh -c 'trap "exit 8" USR1; echo up; while :; do sleep 0.1; done'
	wait_until 20 log_has usr up
	run_vpod stop usr
	assert "$(inspect_field usr '{{.State.ExitCode}}')" = 8
	run_vpod run --detach --name quick --stop-timeout 1 --network none $IMAGE sh -c "$STUBBORN"
	wait_until 20 log_has quick up
	SECONDS=0
	run_vpod stop quick
	assert "$SECONDS" -lt 8
}

@test "vpod stop: several, --all, --ignore, --filter, --cidfile" {
	for n in 1 2 3 4; do
		run_vpod run --detach --cidfile "$T/cid$n" --name "m$n" --label n=$n --network none $IMAGE sleep 1000
	done
	run_vpod stop --time 0 --cidfile "$T/cid4"
	has_state m4 exited
	run_vpod 125 stop --time 0 m1 nosuch
	assert "$output" = m1
	assert "$stderr" =~ 'nosuch'
	run_vpod stop --ignore nosuch
	run_vpod stop --time 0 --filter label=n=2
	has_state m2 exited
	has_state m3 running
	run_vpod stop --time 0 --all
	has_state m3 exited
	run_vpod create --name never --network none $IMAGE true
	run_vpod stop never
	assert "$output" = never "as Podman: there is nothing to stop"
	has_state never created
	rm "$T"/cid?
}
