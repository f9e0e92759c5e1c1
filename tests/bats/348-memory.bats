#!/usr/bin/env bats
# What a machine has of the host's memory, and gives back.

load helpers

# pss PID prints what a process has of the host's memory, in MiB: its own pages and
# its share of those it shares.
pss() { awk '/^Pss:/ {print int($2 / 1024)}' "/proc/$1/smaps_rollup"; }

pss_at_least() { [ "$(pss "$1")" -ge "$2" ]; }
pss_at_most() { [ "$(pss "$1")" -le "$2" ]; }

@test "memory that a process has freed goes back to the host" {
	local how
	for how in always never; do
		run_vpod run --detach --name "$how" --template "$how" --memory 1g --network none $IMAGE sleep 1000
		local qemu before
		qemu=$(inspect_field "$how" '{{.VM.QEMUPid}}')
		before=$(pss "$qemu")
		start_vpod exec "$how" sh -c 'dd if=/dev/zero of=/dev/null bs=512M count=2; sleep 1'
		wait_until 60 pss_at_least "$qemu" $((before + 400))
		ended 0
		# Linux reports free memory every two seconds.
		wait_until 30 pss_at_most "$qemu" $((before + 64))
		run_vpod rm --force --time 0 "$how"
	done
}

@test "a template's memory is its own" {
	run_vpod run --rm --memory 1g --network none $IMAGE true
	assert "$stderr" !~ "template" "the template is as it was"
}

@test "a monitor is small" {
	run_vpod run --detach --name small --network none $IMAGE sleep 1000
	local monitor private
	monitor=$(inspect_field small '{{.VM.MonitorPid}}')
	private=$(awk '/^Private_Dirty:/ {print $2}' "/proc/$monitor/smaps_rollup")
	assert "$private" -lt 8192 "private memory of the monitor in KiB"
}
