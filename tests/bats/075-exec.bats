#!/usr/bin/env bats
# vpod exec. One machine serves all of the tests.

load helpers

setup_file() {
	file_setup
	vpod run --detach --name box -e FROM_RUN=1 -w /home/app --hostname box --network none $IMAGE sleep 10000
}

teardown() { test_teardown box; }

exits() { # CODE | COMMAND | ERROR NAMES
	local command
	eval "command=($2)"
	run_vpod "$1" exec box "${command[@]}"
	[ -z "$3" ] || assert "$stderr" =~ "$3"
}

@test "vpod exec: exit codes" {
	each_case exits <<-'TABLE'
		0   | true                  | ''
		1   | false                 | ''
		255 | sh -c "exit 255"      | ''
		143 | sh -c 'kill -TERM $$' | ''
		137 | sh -c 'kill -KILL $$' | ''
		127 | /no/such/command      | /no/such/command
		127 | nosuchcommand         | nosuchcommand
		126 | /etc                  | /etc
		126 | /etc/passwd           | /etc/passwd
	TABLE
	run_vpod 125 exec nosuch true
	assert "$stderr" =~ 'nosuch'
	run_vpod 125 exec box
	assert "$stderr" =~ 'command'
	run_vpod create --name idle --network none $IMAGE true
	run_vpod 125 exec idle true
	assert "$stderr" =~ "running"
}

@test "vpod exec: streams are kept apart, bytes are kept" {
	run_vpod exec box sh -c 'echo out; echo err >&2'
	assert "$output" = out
	assert "$stderr" = err
	run_vpod exec -i box sh -c 'read -r a; echo "got $a"; cat' <<< $'one\ntwo'
	assert "$output" = $'got one\ntwo'
	run_vpod exec box cat <<< "not for you"
	assert "$output" = "" "without -i"
	head -c 3000000 /dev/urandom > "$T/in"
	vpod exec -i box cat < "$T/in" > "$T/out"
	cmp "$T/in" "$T/out"
}

@test "vpod exec: environment, directory, user, rights" {
	printf 'FILE=1\nBOTH=file\n' > "$T/env"
	HOSTVAR=h run_vpod exec -e A=1 -e BOTH=flag -e HOSTVAR --env-file "$T/env" box sh -c 'echo $FROM_RUN $A $BOTH $FILE $HOSTVAR $FROM_IMAGE $HOSTNAME; pwd; id -u'
	assert "$output" = $'1 1 flag 1 h yes box\n/home/app\n0'
	run_vpod exec -w /tmp -u app box sh -c 'pwd; id; echo $HOME; grep CapEff /proc/self/status'
	assert "${lines[0]}" = /tmp
	assert "${lines[1]}" =~ '^uid=1000\(app\) gid=1000\(app\)'
	assert "${lines[2]}" = /home/app
	assert "${lines[3]}" =~ '0000000000000000'
	run_vpod exec --privileged box grep -E 'CapEff|Seccomp:' /proc/self/status
	assert "$output" =~ '000001ffffffffff'
	assert "$output" =~ 'Seccomp:[[:space:]]+0'
	run_vpod exec box grep CapEff /proc/self/status
	assert "$output" =~ '00000000800405fb'
	run_vpod 126 exec -u nosuch box true
	assert "$stderr" =~ 'nosuch'
	run_vpod 126 exec -w /etc/passwd box true
	run_vpod 125 exec -w relative box true
	assert "$stderr" =~ 'relative'
	run_vpod 127 exec -w /no/such box true
}

@test "vpod exec: is in the container" {
	run_vpod exec box sh -c 'hostname; cat /proc/1/comm; cat /proc/self/cgroup; ls -d /proc/[0-9]* | wc -l'
	assert "${lines[0]}" = box
	assert "${lines[1]}" = sleep
	assert "${lines[2]}" = "0::/"
	assert "${lines[3]}" -le 6 "processes"
	run_vpod exec --latest hostname
	assert "$output" = box
}

@test "vpod exec --detach: prints the session's id, the process runs on" {
	run_vpod exec --detach box sh -c 'echo $$ > /tmp/detached; sleep 1000'
	assert "$output" =~ '^[0-9a-f]{64}$'
	written() { vpod exec box test -s /tmp/detached; }
	wait_until 20 written
	run_vpod exec box sh -c 'kill -0 $(cat /tmp/detached) && kill $(cat /tmp/detached)'
	run_vpod 127 exec --detach box /no/such
}

@test "vpod exec: ten at once" {
	for n in 0 1 2 3 4 5 6 7 8 9; do
		vpod exec -i box sh -c "cat; echo end $n; exit $n" < "$TESTS/helpers.bash" > "$T/ten$n" 3>&- &
		pids[n]=$!
	done
	for n in 0 1 2 3 4 5 6 7 8 9; do
		status=0
		wait "${pids[$n]}" || status=$?
		assert "$status" -eq "$n" "exit code of the ${n}th"
		cmp <(cat "$TESTS/helpers.bash"; echo "end $n") "$T/ten$n"
	done
}

@test "vpod exec -t: a terminal of the right size, raw mode given back" {
	on_terminal --size 31x97 --expect '# ' --send 'stty size; tty\r' --expect '31 97' --expect '/dev/pts/' \
		--resize 12x34 --pause 0.5 --send 'stty size\r' --expect '12 34' --send 'exit 5\r' --exit 5 -- exec -it box sh
	run_vpod exec -t box sh -c 'test -t 1 && echo terminal; echo to err >&2'
	assert "${output//$'\r'/}" = $'terminal\nto err' "one stream"
}

@test "vpod exec -t: Ctrl-C interrupts the process, not vpod" {
	on_terminal --expect '# ' --send 'sleep 1000\r' --pause 0.5 --send '\x03' --expect '# ' --send 'echo still $((6*7))\r' --expect 'still 42' --expect '# ' --send '\x04' --exit 0 -- exec -it box sh
}

@test "vpod exec: detach keys leave the process running" {
	on_terminal --expect '# ' --send 'echo $$ > /tmp/left; echo wrote\r' --expect 'wrote\r' --send '\x10\x11' --exit 0 -- exec -it box sh
	run_vpod exec box sh -c 'kill -0 $(cat /tmp/left) && kill -KILL $(cat /tmp/left)'
	on_terminal --expect '# ' --send 'x' --exit 0 -- exec -it --detach-keys x box sh
}

@test "vpod exec: the process ends when its user is gone" {
	start_vpod exec -i box sh -c 'echo $$; exec sleep 4321'
	wait_until 20 file_has "$T/started.out" .
	kill -KILL "$started"
	wait "$started" || true
	run_vpod exec box true
	run_vpod exec box sh -c 'pkill -f "sleep 4321"; true'
}

@test "vpod exec: when the container ends" {
	run_vpod run --detach --name short --network none $IMAGE sleep 1000
	start_vpod exec short sh -c 'echo in; sleep 1000'
	wait_until 20 file_has "$T/started.out" in
	run_vpod kill short
	ended 137
}
