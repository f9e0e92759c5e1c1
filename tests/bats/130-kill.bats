#!/usr/bin/env bats
# vpod kill.

load helpers

@test "vpod kill: SIGKILL unless another is named" {
	run_vpod run --detach --name k --network none $IMAGE sh -c 'trap "echo got USR1" USR1; trap "echo got 12" 12; echo up; while :; do sleep 0.1; done'
	wait_until 20 log_has k up
	sent=0
	got_all() { [ "$(vpod logs k | grep -c USR1)" -eq "$sent" ]; }
	for signal in USR1 SIGUSR1 10; do
		run_vpod kill --signal "$signal" k
		assert "$output" = k
		sent=$((sent + 1))
		wait_until 20 got_all # a signal that is pending already is not counted again
	done
	run_vpod 125 kill --signal NOSUCH k
	assert "$stderr" =~ 'NOSUCH'
	has_state k running
	run_vpod kill k
	run_vpod wait k
	assert "$output" = 137
	run_vpod 125 kill k
	assert "$stderr" =~ "exited"
	run_vpod 125 kill nosuch
}

@test "vpod kill: several, --all" {
	for n in 1 2; do
		run_vpod run --detach --name "m$n" --network none $IMAGE sleep 1000
	done
	run_vpod 125 kill m1 nosuch
	assert "$output" = m1
	run_vpod kill --all
	run_vpod wait m1 m2
	assert "$output" = $'137\n137'
}
