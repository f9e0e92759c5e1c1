#!/usr/bin/env bats
# vpod pause and unpause.

load helpers

# ticks prints how much processor time a container's machine has used, in ticks.
ticks() { awk '{ print $14 + $15 }' "/proc/$(inspect_field "$1" '{{.State.Pid}}')/stat"; }

@test "vpod pause: the machine stands still, and goes on" {
	run_vpod run --detach --name p --network none $IMAGE sh -c 'n=0; while :; do n=$((n + 1)); echo $n > /tmp/n; done'
	wait_until 20 vpod exec p test -s /tmp/n
	run_vpod pause p
	assert "$output" = p
	assert "$(inspect_field p '{{.State.Status}} {{.State.Paused}} {{.State.Running}}')" = "paused true false"
	run_vpod ps --format '{{.Names}} {{.State}} {{.Status}}'
	assert "$output" = "p paused Paused"
	run_vpod ps --quiet --filter status=running
	assert "$output" = ""
	run_vpod wait --condition paused p
	before=$(ticks p)
	sleep 2
	assert "$(($(ticks p) - before))" -le 5 "ticks used while paused"

	run_vpod 125 pause p
	assert "$stderr" =~ "it is paused"
	for verb in "stop --time 1" kill restart start attach; do
		# shellcheck disable=SC2086 # a verb and its options
		run_vpod 125 $verb p
		assert "$stderr" =~ "it is paused; .vpod unpause. it first"
	done
	run_vpod 125 exec p true
	assert "$stderr" =~ "paused"
	run_vpod 2 rm p

	run_vpod unpause p
	assert "$output" = p
	has_state p running
	run_vpod exec p date +%s
	local off=$(($(date +%s) - output))
	assert "${off#-}" -le 1 "seconds between the clocks of guest and host"
	n=$(vpod exec p cat /tmp/n)
	goes_on() { [ "$(vpod exec p cat /tmp/n)" != "$n" ]; }
	wait_until 20 goes_on
	run_vpod 125 unpause p
	assert "$stderr" =~ "only paused containers"
}

@test "vpod pause: the time is the host's again after a long pause, input waits" {
	run_vpod run --detach --interactive --name t --network none $IMAGE sh -c 'while read -r line; do echo "got $line"; done'
	run_vpod pause t
	sleep 4 # a guest's clock would be this late
	run_vpod unpause t
	run_vpod exec t date +%s
	local off=$(($(date +%s) - output))
	assert "${off#-}" -le 1 "seconds between the clocks of guest and host"
}

@test "vpod pause: --all, several, removal by force" {
	for n in 1 2; do
		run_vpod run --detach --name "a$n" --network none $IMAGE sleep 1000
	done
	run_vpod create --name c --network none $IMAGE true
	run_vpod 125 pause a1 nosuch c
	assert "$output" = a1
	assert "$stderr" =~ "nosuch"
	assert "$stderr" =~ "cannot pause container c: it is created"
	run_vpod pause --all
	run_vpod ps --format '{{.Names}}' --filter status=paused
	assert "$(sort <<< "$output")" = $'a1\na2'
	run_vpod unpause --all
	run_vpod ps --quiet --filter status=paused
	assert "$output" = ""
	run_vpod pause a1 a2
	run_vpod rm --force --time 0 a1 a2 c
	run_vpod ps --all --quiet
	assert "$output" = ""
}
