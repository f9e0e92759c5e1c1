#!/usr/bin/env bats
# SIGKILL of the command, of the monitor and of QEMU: the next command shows the
# true state, and disks, sockets and processes are freed.

load helpers

# dead_state NAME: it shows as ended, and can be started again and removed.
check_recovers() {
	run_vpod ps --all --format '{{.Names}} {{.State}}'
	assert "$output" = "$1 exited"
	assert "$(machine_processes "$T")" = "" "processes"
	run_vpod 125 exec "$1" true
	run_vpod start "$1"
	run_vpod exec "$1" echo again
	assert "$output" = again
	run_vpod rm --force --time 0 "$1"
	nothing_left "$T"
}

# no_machine: no process of a machine is left in this file's directory.
no_machine() { [ -z "$(machine_processes "$T")" ]; }

@test "SIGKILL of the monitor: QEMU and the helpers go with it" {
	run_vpod run --detach --name m $IMAGE sleep 1000
	kill -KILL "$(inspect_field m '{{.State.ConmonPid}}')"
	wait_until 10 no_machine
	assert "$(inspect_field m '{{.State.ExitCode}}')" = 137
	assert "$(inspect_field m '{{.State.Error}}')" =~ "killed"
	check_recovers m
}

@test "SIGKILL of QEMU: the container has ended, and why is said" {
	start_vpod run --name q --network none $IMAGE sh -c 'echo up; sleep 1000'
	wait_until 60 file_has "$T/started.out" up
	kill -KILL "$(inspect_field q '{{.State.Pid}}')"
	status=0
	wait "$started" || status=$?
	assert "$status" -ne 0 "exit code"
	assert "$(cat "$T/started.err")" =~ "machine|QEMU" "standard error"
	assert "$(vpod logs q)" = up
	run_vpod ps --all --format '{{.State}}'
	assert "$output" = exited
	check_recovers q
}

@test "SIGKILL of an attached command: the container runs on" {
	start_vpod run --name c --network none $IMAGE sh -c 'echo up; while :; do echo tick; sleep 0.2; done'
	wait_until 60 file_has "$T/started.out" tick
	kill -KILL "$started"
	wait "$started" 2>/dev/null || true
	has_state c running
	lines_before=$(vpod logs c | wc -l)
	more() { [ "$(vpod logs c | wc -l)" -gt "$((lines_before + 2))" ]; }
	wait_until 20 more
	run_vpod rm --force --time 0 c
}

@test "SIGKILL of run --detach at any moment: nothing is lost from sight" {
	for delay in 0.02 0.05 0.1 0.2 0.4 0.8 1.2 1.8; do
		start_vpod run --detach --name "at$delay" --network none $IMAGE sleep 1000
		sleep "$delay"
		kill -KILL "$started" 2>/dev/null || true
		wait "$started" 2>/dev/null || true
		run_vpod ps --all --format '{{.Names}} {{.State}}'
		[ -z "$output" ] || assert "$output" =~ "^at$delay (created|starting|running|exited)$"
		# What is said to run does, what is said to have ended is gone.
		if [[ $output == *running ]]; then
			run_vpod exec "at$delay" true
		fi
		run_vpod rm --all --force --time 0
		wait_until 20 no_machine
		nothing_left "$T"
	done
}

@test "SIGKILL of create: no layer stays in the image store" {
	for delay in 0.06 0.09 0.12 0.15 0.18 0.22 0.3; do
		start_vpod create --name "at$delay" --rootfs-mode 9p --network none $IMAGE true
		sleep "$delay"
		kill -KILL "$started" 2>/dev/null || true
		wait "$started" 2>/dev/null || true
	done
	run_vpod rm --all --force
	# What was left without a row goes with the next command that opens the store.
	run_vpod create --name next --rootfs-mode 9p --network none $IMAGE true
	run_vpod rm next
	run_logged bash -c "cat '$T'/d/overlay-containers/containers.json 2>/dev/null || true"
	assert "${output:-[]}" = "[]" "containers of the image store"
	nothing_left "$T"
	[ -z "$(ls -A "$T/d/vpod/layers")" ] || die "marks of layers are left"
}

@test "SIGKILL of the monitor while the machine boots" {
	for delay in 0 0.1 0.3 0.6; do
		start_vpod run --name boots --network none $IMAGE sleep 1000
		monitor_is_there() { pid=$(machine_processes "$T" | awk '/ monitor / {print $1; exit}'); [ -n "$pid" ]; }
		wait_until 20 monitor_is_there
		sleep "$delay"
		kill -KILL "$pid"
		status=0
		wait "$started" || status=$?
		assert "$status" -ne 0 "exit code of run"
		assert "$(cat "$T/started.err")" =~ "Error" "standard error"
		wait_until 10 no_machine
		run_vpod ps --all --format '{{.State}}'
		assert "$output" =~ '^(created|exited)$'
		run_vpod rm boots
		nothing_left "$T"
	done
}

@test "SIGKILL of QEMU while the machine boots" {
	start_vpod run --name boots --network none $IMAGE sleep 1000
	qemu_is_there() { pid=$(machine_processes "$T" | awk '/qemu-system/ {print $1; exit}'); [ -n "$pid" ]; }
	wait_until 20 qemu_is_there
	kill -KILL "$pid"
	ended 125
	assert "$stderr" =~ "Error"
	run_vpod rm boots
}

@test "SIGKILL of the passt helper: the container is not lost" {
	command -v passt > /dev/null || skip "passt is not installed"
	run_vpod run --detach --name p $IMAGE sleep 1000
	pid=$(machine_processes "$T" | awk '/passt/ {print $1; exit}')
	[ -n "$pid" ] || die "the machine has no passt"
	kill -KILL "$pid"
	sleep 1
	run_vpod ps --all --format '{{.State}}'
	if [ "$output" = running ]; then
		run_vpod exec p echo alive
		assert "$output" = alive
	else
		check_recovers p
	fi
}

@test "SIGKILL of rm, stop and exec" {
	run_vpod run --detach --name victim --network none $IMAGE sleep 1000
	for delay in 0.01 0.03; do
		start_vpod exec victim sleep 1000
		sleep "$delay"
		kill -KILL "$started"
		wait "$started" 2>/dev/null || true
	done
	run_vpod exec victim true
	start_vpod stop --time 1 victim
	sleep 0.1
	kill -KILL "$started"
	wait "$started" 2>/dev/null || true
	wait_until 30 has_state victim exited
	start_vpod rm victim
	sleep 0.01
	kill -KILL "$started" 2>/dev/null || true
	wait "$started" 2>/dev/null || true
	run_vpod rm --ignore victim
	run_vpod ps --all --quiet
	assert "$output" = ""
	nothing_left "$T"
}

@test "SIGSTOP of the monitor: other commands do not hang on it" {
	run_vpod run --detach --name frozen --network none $IMAGE sleep 1000
	pid=$(inspect_field frozen '{{.State.ConmonPid}}')
	kill -STOP "$pid"
	VPOD_TIMEOUT=10 run_vpod ps --format '{{.Names}}'
	assert "$output" = frozen
	VPOD_TIMEOUT=90 run_vpod rm --force --time 1 frozen
	kill -CONT "$pid" 2>/dev/null || true
	wait_until 10 no_machine
}

@test "the run directory is emptied, as by a reboot" {
	run_vpod run --detach --name reboot --network none $IMAGE sleep 1000
	kill -KILL "$(inspect_field reboot '{{.State.ConmonPid}}')"
	wait_until 10 no_machine
	rm -rf "$T/r/vpod"
	check_recovers reboot
}
