#!/usr/bin/env bats
# Shell completion: the words vpod proposes, and the scripts that ask for them.

load helpers

setup_file() {
	file_setup
	vpod create --name idle-one --network none $IMAGE true
	vpod create --name idle-two --network none $IMAGE true
	vpod run --detach --name busy-one --network none $IMAGE sleep 10000
}

teardown() { :; }

words() { # COMMAND LINE, the last word to be completed | WORDS
	local args
	eval "args=($1)"
	run_vpod __complete "${args[@]}"
	# The shell's script keeps the words that begin like the last one. Ids are left out here.
	assert "$(grep -v '^:' <<< "$output" | cut -f 1 | grep -vE '^[0-9a-f]{12}$' | grep "^${args[-1]}" | sort | tr '\n' ' ' | sed 's/ $//')" = "$2" "completion of $1"
}

@test "names of containers and images" {
	each_case words <<-'TABLE'
		rm idle-t                 | idle-two
		start ''                  | idle-one idle-two
		stop ''                   | busy-one
		exec b                    | busy-one
		inspect idle-             | idle-one idle-two
		logs busy                 | busy-one
		rmi localhost             | localhost/busybox:test
		run local                 | localhost/busybox:test
		rm idle-one idle          | idle-two
		run --machine ''          | microvm q35
		run --rootfs-mode v       | virtiofs
	TABLE
}

@test "commands and flags" {
	run_vpod __complete ru
	assert "$output" =~ '^run'
	run_vpod __complete run --mem
	assert "$output" =~ '^--memory'
	run_vpod __complete mon
	assert "$output" !~ monitor
}

@test "scripts for bash, zsh, fish" {
	for shell in bash zsh fish; do
		run_vpod completion "$shell"
		assert "$output" =~ 'vpod'
	done
	run_vpod completion bash
	bash -n <<< "$output"
	run_vpod 125 completion nosuchshell
}

@test "completion never fails loudly" {
	capture "$VPOD" --root /no/such/place --runroot /no/such/run __complete rm ''
	assert "$status" -eq 0
	assert "$output" !~ "rror"
}
