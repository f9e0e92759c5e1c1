#!/usr/bin/env bats
# What must work before anything else is worth looking at.
# alone

load helpers

@test "vpod version: says what it is" {
	run_vpod version
	assert "$output" =~ "Version: +[0-9]+\.[0-9]+" "version"
	assert "$output" =~ "Go Version: +go1" "Go version"
	run_vpod --version
	assert "$output" =~ "^vpod version [0-9]" "--version"
}

@test "vpod run: a command in a machine with its own kernel" {
	run_vpod 7 run --rm --network none $IMAGE sh -c 'uname -r; echo hello; echo complaint >&2; exit 7'
	assert "${lines[0]}" != "$(uname -r)" "kernel of the guest"
	assert "${lines[1]}" = "hello" "standard output"
	assert "$stderr" =~ "complaint" "standard error"
	assert "$output" !~ "complaint" "standard error is kept apart"
	run_vpod ps --all --quiet
	assert "$output" = "" "containers after --rm"
}

@test "vpod: an unknown command is refused and a near one proposed" {
	run_vpod 125 nosuchcommand
	assert "$stderr" =~ 'unrecognized command `vpod nosuchcommand`'
	run_vpod 125 rn
	assert "$stderr" =~ "did you mean"
	run_vpod 125 ps --nosuchflag
	assert "$stderr" =~ "unknown flag: --nosuchflag"
	assert "$stderr" =~ "See 'vpod ps --help'"
}

@test "vpod: directories of another are refused" {
	mkdir -p "$T/open/vpod"
	chmod 0755 "$T/open/vpod"
	capture "$VPOD" --root "$T/d" --runroot "$T/open" ps
	assert "$status" -eq 125
	assert "$stderr" =~ "mode 0700"
}
