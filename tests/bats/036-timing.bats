#!/usr/bin/env bats
# --timing: where the time of a start went.

load helpers

# report prints what an expression makes of the last command's report, r: the last
# line of its standard error.
report() {
	$PYTHON -c 'import json, sys
r = json.loads(sys.argv[1].splitlines()[-1])
names = [p["by"] + ": " + p["what"] for p in r["phases"]]
print(eval(sys.argv[2]))' "$stderr" "$1"
}

# adds_up checks that the phases are the whole, one after the other.
adds_up() {
	assert "$(report 'sum(p["tookNanos"] for p in r["phases"]) == r["totalNanos"]')" = True "the phases are the whole"
	assert "$(report 'all(a["beginNanos"] + a["tookNanos"] == b["beginNanos"] for a, b in zip(r["phases"], r["phases"][1:]))')" = True "each begins where the last ended"
	assert "$(report 'min(p["tookNanos"] for p in r["phases"]) >= 0')" = True "none goes back in time"
}

# has_phases NAME...: the report has all of these, in this order.
has_phases() {
	local name names last=0 line
	names=$(report '"\n".join(names)')
	for name in "$@"; do
		line=$(grep -nxF "$name" <<< "$names" | tail -n 1 | cut -d : -f 1)
		assert "${line:-0}" -gt "$last" "line of \"$name\" in: $names"
		last=$line
	done
}

@test "vpod run --timing=json: the phases add up to the whole, from a template" {
	run_vpod 3 run --rm --network none --template always --timing=json $IMAGE sh -c 'echo out; echo err >&2; exit 3'
	assert "$output" = out "standard output"
	assert "$stderr" =~ "err" "standard error"
	adds_up
	has_phases "vpod: initialise the program" "vpod: read the options" "vpod: find the image" "vpod: spawn the monitor" \
		"monitor: spawn QEMU" "monitor: load the saved machine" "guest: execute the command" "monitor: the process is started" \
		"monitor: the process runs, and ends" "monitor: end QEMU" "vpod: hear of the end" "vpod: delete its row" "vpod: close the state"
	assert "$(report '"guest: boot the kernel" in names')" = False "a boot"
	assert "$(report 'sorted(u["process"] for u in r["processorTime"])')" = "['QEMU', 'monitor', 'vpod']" "processes"
	assert "$(report 'all(u["userNanos"] + u["systemNanos"] > 0 for u in r["processorTime"])')" = True "all of them worked"
}

@test "vpod run --timing=json: the phases add up to the whole, of a boot" {
	run_vpod run --rm --network none --template never --timing=json $IMAGE true
	adds_up
	has_phases "monitor: spawn QEMU" "guest: boot the kernel" "guest: set the machine up" "monitor: begin the session with the agent" \
		"guest: assemble the root file system" "guest: execute the command" "monitor: the process is started" "vpod: hear of the end"
	assert "$(report '"monitor: load the saved machine" in names')" = False "a template"
	# What is measured inside is part of what is measured outside.
	assert "$(report '[p["tookNanos"] for p in r["phases"] if p["what"] == "boot the kernel"][0] > 1e7')" = True "a kernel takes its time"
}

@test "vpod run --timing: a table; without it nothing" {
	run_vpod run --rm --network none --timing $IMAGE true
	assert "$stderr" =~ "BEGIN ms +TOOK ms +HOST CPU +MACHINE CPU +BY +WHAT" "standard error"
	assert "$stderr" =~ " total"$'\n'"processor time, user \+ system, in ms: vpod [0-9.]+ \+ [0-9.]+, monitor " "standard error"
	run_vpod run --rm --network none $IMAGE true
	assert "$stderr" = "" "standard error"
	run_vpod 125 run --rm --timing=xml --network none $IMAGE true
	assert "$stderr" =~ "text, json" "standard error"
}

@test "vpod run --timing: the container and its environment know nothing of it" {
	run_vpod run --rm --network none --timing --env '_VPOD*' $IMAGE env
	assert "$output" !~ "VPOD" "environment"
}

@test "vpod run --timing: a failed start and one that is left are told of, too" {
	run_vpod 127 run --rm --network none --timing=json $IMAGE /no/such/command
	adds_up
	has_phases "monitor: spawn QEMU" "monitor: give the start up"
	run_vpod run --detach --name left --network none --timing=json $IMAGE sleep 1000
	adds_up
	has_phases "guest: execute the command" "vpod: hear that it has started" "vpod: close the state"
	run_vpod rm --force --time 0 left
}

@test "vpod start --timing" {
	run_vpod create --name s --network none $IMAGE true
	run_vpod start --attach --timing=json s
	adds_up
	has_phases "vpod: spawn the monitor" "guest: execute the command" "monitor: end QEMU" "vpod: hear of the end"
	assert "$(report '"vpod: find the image" in names')" = False "an image"
	run_vpod 125 start --timing --all
	assert "$stderr" =~ "one container"
	run_vpod rm s
}

@test "vpod run --timing: with the default network, and a shared tree" {
	run_vpod run --rm --timing=json $IMAGE true
	adds_up
	if command -v passt > /dev/null; then
		has_phases "monitor: make the machine's channels, start its helpers" "monitor: passt is ready"
		assert "$(report '"passt" in [u["process"] for u in r["processorTime"]]')" = True "processor time of passt"
	fi
	# An ordinary user's vpod executes itself again: its first start counts.
	run_vpod run --rm --network none --rootfs-mode 9p --timing=json $IMAGE true
	adds_up
	has_phases "vpod: initialise the program" "vpod: read the options" "vpod: find the image"
	if [ "$(id -u)" != 0 ]; then
		has_phases "vpod: initialise the program" "vpod: execute the program again" "vpod: enter the user namespace, initialise again"
	fi
}
