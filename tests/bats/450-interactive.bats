#!/usr/bin/env bats
# Terminals: run -it, attach, detach keys, resizing, several clients.

load helpers

@test "vpod run -t: size, name and mode of the terminal" {
	on_terminal --size 31x97 --expect '# ' --send 'stty size; tty; echo $TERM\r' --expect '31 97' --expect '/dev/' --expect 'xterm' \
		--resize 20x60 --pause 0.5 --send 'stty size\r' --expect '20 60' --send 'exit 7\r' --exit 7 -- run -it --rm --network none $IMAGE sh
}

@test "vpod run -t: SIGWINCH reaches the command" {
	on_terminal --size 24x80 --expect ready --resize 11x22 --expect 'winch 11 22' --exit 0 -- \
		run -it --rm --network none $IMAGE sh -c 'trap "echo winch \$(stty size); exit" WINCH; echo ready; while :; do sleep 0.1; done'
}

@test "vpod run -it: Ctrl-C, Ctrl-D and job control are the guest's" {
	on_terminal --expect '# ' --send 'sleep 1000\r' --pause 0.5 --send '\x03' --send 'echo alive $((6*7))\r' --expect 'alive 42' --expect '# ' --pause 0.5 --send '\x04' --exit 0 -- \
		run -it --rm --network none $IMAGE sh
	on_terminal --expect '# ' --send 'cat\r' --expect 'cat\r\n' --pause 0.5 --send 'typed\r' --expect 'typed\r\n.*typed' --send '\x04' --send 'exit\r' -- run -it --rm --network none $IMAGE sh
}

@test "vpod run -t without a terminal" {
	run_vpod run -t --rm --network none $IMAGE sh -c 'test -t 0 && test -t 1 && echo terminal'
	assert "${output//$'\r'/}" = terminal
	run_vpod run -it --rm --network none $IMAGE sh -c 'read -r x; echo "got $x"' <<< "line"
	assert "${output//$'\r'/}" =~ "got line"
	assert "$stderr" =~ "not a TTY"
}

@test "vpod run -it: detach keys, attach again, the end" {
	on_terminal --expect '# ' --send 'X=kept\r' --expect '# ' --send '\x10\x11' --exit 0 -- run -it --name d --network none $IMAGE sh
	has_state d running
	on_terminal --size 40x100 --pause 0.3 --send 'echo still $X; stty size\r' --expect 'still kept' --expect '40 100' --send 'exit 9\r' --exit 9 -- attach d
	assert "$(inspect_field d '{{.State.ExitCode}}')" = 9
}

@test "vpod attach --detach-keys" {
	run_vpod run -dit --name d --network none $IMAGE sh
	on_terminal --pause 0.3 --send 'echo a\r' --expect 'a\r' --send '\x01z' --exit 0 -- attach --detach-keys ctrl-a,z d
	# The usual keys are bytes like others then, and the beginning of a sequence is passed on.
	on_terminal --pause 0.3 --send 'cat -v\r' --pause 0.3 --send '\x10\x11\x01y\r' --expect '\^P.*\^A' --send '\x01z' --exit 0 -- attach --detach-keys ctrl-a,z d
	has_state d running
}

@test "vpod attach: several clients see the same, each may type" {
	run_vpod run -dit --name many --network none $IMAGE sh
	"$PYTHON" "$TESTS/terminal.py" --pause 1 --expect 'from-two' --send 'echo from-$((0+1))-one\r' --expect 'from-1-one' --send '\x10\x11' -- \
		"$VPOD" --root "$T/d" --runroot "$T/r" attach many > "$T/one" 2>&1 3>&- &
	first=$!
	sleep 0.5
	on_terminal --pause 0.5 --send 'echo from-two\r' --expect 'from-two' --expect 'from-1-one' --send '\x10\x11' -- attach many
	wait "$first" || die "the first client: $(cat "$T/one")"
	has_state many running
}

@test "vpod attach: output, input, --no-stdin, what cannot be attached to" {
	run_vpod run -di --name pipe --network none $IMAGE sh -c 'while read -r l; do echo "echo $l"; done; exit 3'
	start_vpod attach --no-stdin pipe
	sleep 0.5
	run_vpod 3 attach pipe <<< $'one\ntwo'
	assert "$output" = $'echo one\necho two'
	ended 3
	assert "$output" = $'echo one\necho two' "the other client"
	run_vpod 125 attach pipe
	assert "$stderr" =~ "exited"
	run_vpod 125 attach nosuch
}

@test "vpod start -ai on a terminal" {
	run_vpod create -it --name s --network none $IMAGE sh
	on_terminal --size 15x55 --expect '# ' --send 'stty size\r' --expect '15 55' --send 'exit 4\r' --exit 4 -- start -ai s
}

@test "the terminal is in its old mode also after a signal and a lost machine" {
	on_terminal --expect '# ' --signal 15 --exit 143 -- run -it --sig-proxy=false --name term --network none $IMAGE sh
	run_vpod rm --force --time 0 term
	"$PYTHON" "$TESTS/terminal.py" --exit 137 -- "$VPOD" --root "$T/d" --runroot "$T/r" run -it --name lost --network none $IMAGE sh > "$T/lost" 2>&1 3>&- &
	terminal=$!
	wait_until 60 is_running lost
	run_vpod kill lost
	wait "$terminal" || die "$(cat "$T/lost")"
}

is_running() { [ "$(inspect_field "$1" '{{.State.Status}}' 2>/dev/null)" = running ]; }
