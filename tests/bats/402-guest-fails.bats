#!/usr/bin/env bats
# The guest itself fails: panic, memory, a kernel that does not boot.

load helpers

# The guest's kernel has no sysrq. It panics when it is told to and memory ends:
# tail wants 100 MiB, which a machine of 128m has, but not free.
# What eats it grows in small steps: one large request would be refused.
EAT='exec awk "BEGIN { s = sprintf(\"%65536s\", \"x\"); for (i = 0; ; i++) a[i] = s i }"'
PANIC="echo 2 > /proc/sys/vm/panic_on_oom; $EAT"

@test "guest panic: exit code 125 and the console's tail" {
	run_vpod 125 run --name panic -m 128m --privileged --network none $IMAGE sh -c "echo before; $PANIC"
	assert "$output" = before
	assert "$stderr" =~ "[Pp]anic" "what the console said last"
	assert "$(inspect_field panic '{{.State.Status}} {{.State.ExitCode}}')" = "exited 125"
	assert "$(inspect_field panic '{{.State.Error}}')" =~ "[Pp]anic"
	run_vpod start panic
	wait_until 30 has_state panic exited
}

@test "guest panic of a detached container is in its record" {
	run_vpod run --detach --name later -m 128m --privileged --network none $IMAGE sh -c "sleep 1; $PANIC"
	run_vpod wait later
	assert "$output" = 125
	assert "$(inspect_field later '{{.State.Error}}')" =~ "[Pp]anic"
}

@test "guest out of memory: 137, OOMKilled" {
	run_vpod 137 run --name oom -m 128m --network none $IMAGE sh -c "echo before; $EAT"
	assert "$output" = before
	assert "$(inspect_field oom '{{.State.OOMKilled}}')" = true
	run_vpod run --name fine -m 128m --network none $IMAGE true
	assert "$(inspect_field fine '{{.State.OOMKilled}}')" = false
}

@test "a process that is killed for want of memory takes not the container" {
	run_vpod run --detach --name box -m 128m --network none $IMAGE sleep 1000
	run_vpod 137 exec box sh -c "$EAT"
	run_vpod exec box echo alive
	assert "$output" = alive
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
