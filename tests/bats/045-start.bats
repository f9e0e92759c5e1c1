#!/usr/bin/env bats
# vpod create and start.

load helpers

@test "vpod create: makes, does not start" {
	run_vpod create --name c --network none $IMAGE echo hi
	assert "$output" =~ '^[0-9a-f]{64}$'
	assert "$(inspect_field c '{{.State.Status}}')" = created
	run_vpod logs c
	assert "$output" = ""
	run_vpod container create --network none $IMAGE true
	run_vpod rm --latest
}

@test "vpod start: detached, prints what was given" {
	run_vpod create --name s --network none $IMAGE sleep 1000
	run_vpod start s
	assert "$output" = s
	has_state s running
	run_vpod start s
	assert "$output" = s "of a running container"
	run_vpod 125 start nosuch
	assert "$stderr" =~ "nosuch"
	run_vpod 125 start s nosuch
	assert "$output" = s "the others are started"
}

@test "vpod start --attach, --interactive" {
	run_vpod create --name a --network none $IMAGE sh -c 'echo out; echo err >&2; exit 6'
	run_vpod 6 start --attach a
	assert "$output" = out
	assert "$stderr" =~ 'err'
	run_vpod 6 start -a a
	run_vpod create -i --name cat --network none $IMAGE cat
	run_vpod start --attach --interactive cat <<< "through"
	assert "$output" = through
	run_vpod 125 start --attach a cat
	assert "$stderr" =~ "several"
	run_vpod create --name nothing --network none $IMAGE /no/such
	run_vpod 127 start --attach nothing
	run_vpod 125 start nothing
	has_state nothing created
	# One that has run stays as it ended.
	run_vpod 5 run --name once --network none $IMAGE sh -c 'rm $(which sh); exit 5'
	run_vpod 127 start --attach once
	assert "$(inspect_field once '{{.State.Status}} {{.State.ExitCode}}')" = "exited 5"
}

@test "vpod start: several, --all, --filter" {
	for n in 1 2 3; do
		run_vpod create --name "m$n" --label n=$n --network none $IMAGE sleep 1000
	done
	run_vpod start m1 m2
	assert "$output" = $'m1\nm2'
	run_vpod start --all
	has_state m3 running
	run_vpod stop --all --time 0
	run_vpod start --filter label=n=2
	assert "$(vpod ps --format '{{.Names}}')" = m2
}

@test "vpod start: two at once start one machine" {
	run_vpod create --name twice --network none $IMAGE sleep 1000
	vpod start twice > "$T/1" 2>&1 3>&- &
	first=$!
	vpod start twice > "$T/2" 2>&1 3>&- &
	second=$!
	wait $first || die "$(cat "$T/1")"
	wait $second || die "$(cat "$T/2")"
	assert "$(machine_processes "$T" | grep -c ' .*qemu-system')" -eq 1 "machines"
}

@test "vpod start: the container has the state of the last run" {
	run_vpod run --name again --network none $IMAGE sh -c 'echo x >> /count; wc -l < /count; hostname'
	first=$output
	run_vpod start --attach again
	assert "$(head -n 1 <<< "$output" | tr -d ' ')" = 2
	assert "$(tail -n 1 <<< "$output")" = "$(tail -n 1 <<< "$first")" "host name"
	run_vpod logs again
	assert "${#lines[@]}" -eq 4 "lines of both runs"
}
