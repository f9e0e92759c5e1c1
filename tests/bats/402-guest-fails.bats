#!/usr/bin/env bats
# The guest itself fails: panic, memory, a kernel that does not boot.

load helpers

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
