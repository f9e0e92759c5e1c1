#!/usr/bin/env bats
# The guest itself fails: panic, memory, a kernel that does not boot.

load helpers

# Two ways to run out of memory in a machine of 128m. dd does it in one system
# call: the kernel kills at once. awk needs its program to go on, whose pages the
# kernel drops and reads back without end: the agent notices.
AT_ONCE='exec dd if=/dev/zero of=/dev/null bs=96M'
STEP_BY_STEP='exec awk "BEGIN { s = sprintf(\"%65536s\", \"x\"); for (i = 0; ; i++) a[i] = s i }"'

# The guest's kernel has no sysrq. It panics when it is told to and memory ends.
PANICS=(--memory 128m --sysctl vm.panic_on_oom=2 --network none)

@test "guest panic: exit code 125 and the console's tail" {
	local board
	for board in q35 microvm; do
		run_vpod 125 run --name panic --machine $board "${PANICS[@]}" $IMAGE sh -c "echo before; $AT_ONCE"
		assert "$output" = before
		assert "$stderr" =~ "kernel panicked: Kernel panic - not syncing: Out of memory"
		assert "$stderr" =~ $'\n  \\[ [ 0-9.]+\\] ' "what the console said last"
		assert "$(inspect_field panic '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}')" = "exited 125 false"
		assert "$(inspect_field panic '{{.State.Error}}')" =~ "Kernel panic"
		run_vpod rm panic
	done
}

@test "guest panic of a detached container is in its record, and it starts again" {
	run_vpod run --detach --name later "${PANICS[@]}" $IMAGE sh -c "[ ! -e /again ] || exit 5; touch /again; sync; sleep 1; $AT_ONCE"
	run_vpod wait later
	assert "$output" = 125
	assert "$(inspect_field later '{{.State.Error}}')" =~ "Kernel panic"
	run_vpod 5 start --attach later
	assert "$(inspect_field later '{{.State.ExitCode}} {{.State.Error}}')" = "5 "
}

@test "guest out of memory: 137, OOMKilled" {
	run_vpod 137 run --name oom --memory 128m --network none $IMAGE sh -c "echo before; $AT_ONCE"
	assert "$output" = before
	assert "$(inspect_field oom '{{.State.OOMKilled}} {{.State.Error}}')" = "true "
	run_vpod run --name fine --memory 128m --network none $IMAGE true
	assert "$(inspect_field fine '{{.State.OOMKilled}}')" = false
}

@test "guest out of memory, one page after the other, detached" {
	run_vpod run --detach --name thrash --memory 128m --network none $IMAGE sh -c "$STEP_BY_STEP"
	run_vpod wait thrash
	assert "$output" = 137
	assert "$(inspect_field thrash '{{.State.OOMKilled}}')" = true
}

@test "most of a machine's memory is its container's" {
	run_vpod run --rm --memory 128m --network none $IMAGE sh -c 'dd if=/dev/zero of=/dev/null bs=72M count=1 2>/dev/null && cat /sys/fs/cgroup/memory.max'
	assert "$output" -ge $((80 << 20))
	run_vpod run --rm --network none $IMAGE sh -c 'dd if=/dev/zero of=/dev/null bs=420M count=1 2>/dev/null && cat /sys/fs/cgroup/memory.max'
	assert "$output" -ge $((440 << 20))
}

@test "the largest process is killed for want of memory, and the container goes on" {
	run_vpod run --detach --name box --memory 128m --network none $IMAGE sleep 1000
	run_vpod 137 exec box sh -c "$AT_ONCE"
	run_vpod 137 exec box sh -c "$STEP_BY_STEP"
	run_vpod exec box echo alive
	assert "$output" = alive
	run_vpod stop --time 0 box
	assert "$(inspect_field box '{{.State.OOMKilled}}')" = true "something of it was killed for that, as Podman has it"
}

@test "reboot in a container ends the container, as reboot(2) has it" {
	run_vpod 129 run --rm --privileged --network none $IMAGE reboot -f
	run_vpod 130 run --rm --privileged --network none $IMAGE poweroff -f
	run_vpod 1 run --rm --network none $IMAGE reboot -f
}

@test "a kernel that is none" {
	run_vpod 125 run --rm --network none --kernel /bin/true $IMAGE true
	assert "$stderr" =~ "/bin/true"
	head -c 300000 /dev/urandom > "$T/noise"
	run_vpod 125 run --rm --network none --kernel "$T/noise" $IMAGE true
	assert "$stderr" =~ "$T/noise"
	rm "$T/noise"
	run_vpod ps --all --quiet
	assert "$output" = ""
}

@test "a kernel that does not come up: said soon, with the console's tail" {
	SECONDS=0
	run_vpod 125 run --rm --network none --kernel-arg rdinit=/no/such/init --kernel-arg init=/no/such/init $IMAGE true
	assert "$stderr" =~ "panic|init|rootfs" "console"
	assert "$SECONDS" -lt 100
	run_vpod ps --all --quiet
	assert "$output" = ""
	nothing_left "$T"
}
