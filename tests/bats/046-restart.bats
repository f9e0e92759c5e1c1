#!/usr/bin/env bats
# vpod restart, and restart policies.

load helpers

restarted() { [ "$(inspect_field "$1" '{{.RestartCount}}')" -ge "$2" ]; }

@test "vpod restart" {
	run_vpod run --detach --name r --network none $IMAGE sleep 1000
	before=$(inspect_field r '{{.State.Pid}}')
	run_vpod restart --time 0 r
	assert "$output" = r
	has_state r running
	assert "$(inspect_field r '{{.State.Pid}}')" != "$before" "the machine is another"
	run_vpod create --name stopped --network none $IMAGE sleep 1000
	run_vpod restart --time 0 stopped
	has_state stopped running
	run_vpod stop --time 0 stopped
	run_vpod restart --time 0 --running
	has_state stopped exited
	run_vpod restart --time 0 --all
	has_state stopped running
	run_vpod 125 restart nosuch
}

@test "vpod run --restart on-failure:N: starts again so often" {
	run_vpod run --detach --name f --restart on-failure:2 --network none $IMAGE sh -c 'echo run; exit 1'
	wait_until 60 has_state f exited
	assert "$(inspect_field f '{{.RestartCount}} {{.State.ExitCode}}')" = "2 1"
	assert "$(vpod logs f | grep -c run)" -eq 3 "runs"
	run_vpod run --detach --name ok --restart on-failure --network none $IMAGE true
	run_vpod wait ok
	assert "$output" = 0
	assert "$(inspect_field ok '{{.RestartCount}}')" = 0
}

@test "vpod run --restart: in the foreground it ends with the first run, wait with the last" {
	run_vpod 1 run --name f --restart on-failure:1 --network none $IMAGE sh -c 'echo x >> /runs; cat /runs; exit $(wc -l < /runs)'
	assert "$output" = x "what the first run printed"
	run_vpod ps --all --format '{{.Status}}'
	assert "$output" =~ '^(Restarting \(1\)|Starting|Up .*|Exited \(2\) .*)$'
	run_vpod wait f
	assert "$output" = 2
	assert "$(inspect_field f '{{.RestartCount}}')" = 1
}

@test "vpod run --restart always: until it is stopped" {
	run_vpod run --detach --name a --restart always --network none $IMAGE sh -c 'echo run; sleep 0.5'
	wait_until 60 restarted a 2
	run_vpod ps --format '{{.Names}} {{.State}}'
	assert "$output" =~ '^a (running|restarting)'
	run_vpod stop --time 1 a
	sleep 2
	has_state a exited
	run_vpod run --detach --name u --restart unless-stopped --network none $IMAGE sh -c 'exit 3'
	wait_until 60 restarted u 1
	run_vpod rm --force --time 0 u
	assert "$(vpod ps --all --format '{{.Names}}')" = a
}

@test "vpod run --restart: the writable layer and the name stay" {
	run_vpod run --detach --name keeps --restart on-failure:1 --network none $IMAGE sh -c 'echo x >> /runs; wc -l < /runs; exit 1'
	wait_until 60 has_state keeps exited
	assert "$(vpod logs keeps | tail -n 1 | tr -d ' ')" = 2
}
