#!/usr/bin/env bats
# After all the other files: nothing of theirs is left. Runs last, and alone.
# alone

load helpers

setup_file() { :; }
teardown_file() { :; }
teardown() { :; }

@test "no process, mount, socket, link or temporary file is left of the whole suite" {
	[ -z "${VPOD_TEST_DIR_MINE:-}" ] && [ -n "${VPOD_TEST_DIR:-}" ] || skip "run with the whole suite, by hack/bats"
	T=$VPOD_TEST_DIR
	left=$(machine_processes "$(dirname "$T")")
	assert "$left" = "" "processes"
	left=$(awk -v dir="$T/" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo)
	assert "$left" = "" "mounts"
	left=$(awk -v dir="$(dirname "$T")/" 'index($8, dir) == 1 {print $8}' /proc/net/unix)
	assert "$left" = "" "sockets"
	left=$(ls -A "$T")
	assert "$left" = "" "directories of test files"
	left=$(find "$XDG_RUNTIME_DIR" -mindepth 1 \( -type s -o -type f -o -type p \))
	assert "$left" = "" "run files"
	left=$(find "$HOME" -mindepth 1 -path "*vpod*" ! -type d)
	assert "$left" = "" "files in the home directory"
	left=$(find "$XDG_CACHE_HOME/vpod" -mindepth 1 \( -name '*.tmp*' -o -name '.*' \))
	assert "$left" = "" "half-made templates and the like"
	# What the caller noted before the suite began.
	if [ -n "${VPOD_TEST_BEFORE:-}" ]; then
		left=$(comm -13 "$VPOD_TEST_BEFORE" <("$(dirname "$BATS_TEST_FILENAME")/snapshot" | sort))
		assert "$left" = "" "on the machine"
	fi
}

@test "no process of the test's user is left" {
	skip_unless_rootless "root has many processes of its own"
	# The suite itself is one session; a machine's monitor leads one of its own.
	left=$(ps -o pid=,sid=,args= -u "$(id -u)" | awk -v sid="$(ps -o sid= $$)" '$2 != sid + 0 || $3 == ENVIRON["VPOD"]')
	assert "$left" = "" "processes"
}
