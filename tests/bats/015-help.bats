#!/usr/bin/env bats
# Help: every command explains itself, on standard output, with exit code 0.

load helpers

setup_file() { file_setup; }

# commands_of PREFIX... prints the commands its help lists.
commands_of() {
	vpod "$@" --help | awk '/^Available Commands:/ {on = 1; next} /^[A-Z]/ {on = 0} on && NF {print $1}'
}

# check_help COMMAND... checks it and what is below it.
check_help() {
	local sub
	run_vpod "$@" --help
	assert "$output" =~ "Usage:" "help of vpod $*"
	assert "$stderr" = "" "standard error of vpod $* --help"
	for sub in $(commands_of "$@"); do
		count=$((count + 1))
		check_help "$@" "$sub"
	done
}

@test "vpod --help: every command has help" {
	count=0
	check_help
	assert "$count" -ge 40 "commands, long forms included"
}

@test "vpod --help: hidden verbs stay hidden" {
	run_vpod --help
	assert "$output" !~ "monitor"
	assert "$output" !~ "release"
}

@test "vpod: each verb of the manual is there, long and short" {
	for verb in run create start stop kill restart rm ps exec attach logs wait inspect; do
		run_vpod "$verb" --help
		run_vpod container "$verb" --help
		assert "$output" =~ "vpod container $verb" "usage of the long form"
	done
	for verb in pull rmi tag load save; do
		run_vpod "$verb" --help
	done
	for verb in pull rm tag load save inspect ls; do
		run_vpod image "$verb" --help
	done
}

bad_usage() { # ARGUMENTS | WHAT THE ERROR NAMES
	local args
	read -ra args <<< "$1"
	run_vpod 125 "${args[@]}"
	assert "$stderr" =~ "Error: " "message"
	assert "$stderr" =~ "$2"
	assert "$output" = "" "standard output"
}

@test "vpod: wrong numbers of arguments are told" {
	each_case bad_usage <<-'TABLE'
		run          | requires at least 1 arg
		create       | requires at least 1 arg
		exec         | .
		attach       | .
		stop         | .
		kill         | .
		rm           | .
		rmi          | .
		inspect      | .
		logs         | .
		wait         | .
		tag x        | .
		pull         | .
		version more | .
		info more    | .
		images a b   | .
	TABLE
}
