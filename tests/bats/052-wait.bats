#!/usr/bin/env bats
# vpod wait.

load helpers

@test "vpod wait: prints the exit code, before and after the end" {
	run_vpod run --detach --name w --network none $IMAGE sh -c 'sleep 2; exit 4'
	start_vpod wait w
	ended 0
	assert "$output" = 4
	run_vpod wait w
	assert "$output" = 4
	run_vpod run --detach --rm --name removed --network none $IMAGE sh -c 'sleep 2; exit 5'
	run_vpod wait removed
	assert "$output" = 5
	run_vpod wait --ignore nosuch
	run_vpod 125 wait nosuch
	assert "$stderr" =~ 'nosuch'
}

@test "vpod wait: several, --condition, --latest" {
	run_vpod create --name one --network none $IMAGE sh -c 'sleep 2; exit 1'
	run_vpod create --name two --network none $IMAGE sh -c 'sleep 3; exit 2'
	run_vpod wait one two
	assert "$output" = $'0\n0' "those that never ran"
	run_vpod start one two
	run_vpod wait one two
	assert "$output" = $'1\n2'
	run_vpod wait --latest
	assert "$output" = 2
	run_vpod create --name later --network none $IMAGE sleep 1000
	start_vpod wait --condition running later
	sleep 0.3
	run_vpod start later
	ended 0
	assert "$output" = -1
	run_vpod 125 wait --condition nosuch later
	assert "$stderr" =~ "nosuch"
	run_vpod 125 wait --interval x later
}
