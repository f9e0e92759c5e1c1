#!/usr/bin/env bats
# vpod logs.

load helpers

@test "vpod logs: both streams, tail, timestamps" {
	run_vpod run --name l --network none $IMAGE sh -c 'for i in 1 2 3 4 5; do echo out $i; done; sleep 0.3; echo err >&2; sleep 0.3; printf "no newline"'
	run_vpod logs l
	assert "$output" = $'out 1\nout 2\nout 3\nout 4\nout 5\nno newline' "standard output"
	assert "$stderr" = "err" "standard error"
	run_vpod logs --tail 2 l
	assert "$(printf '%s\n%s' "$output" "$stderr" | sort)" = $'err\nno newline'
	run_vpod logs --tail 0 l
	assert "$output$stderr" = ""
	run_vpod logs --tail 100 l
	assert "${#lines[@]}" -eq 6
	run_vpod logs --timestamps l
	assert "${lines[0]}" =~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+) out 1$'
	run_vpod container logs l
	assert "${lines[0]}" = "out 1"
	run_vpod 125 logs nosuch
	assert "$stderr" =~ "nosuch"
	run_vpod 125 logs --tail x l
	run_vpod 125 logs --since yesterdayish l
	assert "$stderr" =~ "yesterdayish"
}

@test "vpod logs --since, --until" {
	run_vpod run --name t --network none $IMAGE sh -c 'echo early; sleep 3; echo late'
	early=$(vpod logs -t t | awk '/early/ {print $1}')
	middle=$(date -u -d "$early + 1.5 seconds" +%Y-%m-%dT%H:%M:%S.%NZ)
	run_vpod logs --since "$middle" t
	assert "$output" = late
	run_vpod logs --until "$middle" t
	assert "$output" = early
	run_vpod logs --since 1h t
	assert "$output" = $'early\nlate'
	run_vpod logs --until 1h t
	assert "$output" = ""
}

@test "vpod logs --follow: what comes, until the end" {
	run_vpod run --detach --name f --network none $IMAGE sh -c 'echo one; sleep 2; echo two; sleep 1; echo three'
	run_vpod logs --follow f
	assert "$output" = $'one\ntwo\nthree'
	run_vpod logs --follow f
	assert "$output" = $'one\ntwo\nthree' "of an ended container"
	run_vpod run --detach --name g --network none $IMAGE sh -c 'echo x; sleep 1000'
	wait_until 20 log_has g x
	start_vpod logs --follow --tail 0 g
	sleep 0.5
	run_vpod stop --time 0 g
	ended 0
	assert "$output" = ""
}

@test "vpod logs: several containers" {
	for n in a b; do
		run_vpod run --name "many-$n" --network none $IMAGE echo "from $n"
	done
	run_vpod logs many-a many-b
	assert "$(sort -k 2 <<< "$output")" =~ $'^[0-9a-f]{12} from a\n[0-9a-f]{12} from b$' "the short id comes first, as Podman has it"
	run_vpod logs --names many-a many-b
	assert "$output" =~ "many-a from a"
	assert "$output" =~ "many-b from b"
	run_vpod logs --latest
	assert "$output" = "from b"
}

@test "vpod run --log-driver, --log-opt" {
	run_vpod run --name k8s --network none $IMAGE echo "a line"
	assert "$(cat "$(inspect_field k8s '{{.HostConfig.LogConfig.Path}}')")" =~ '^[^ ]+ stdout F a line$'
	run_vpod run --name json --log-driver json-file --network none $IMAGE echo "a line"
	assert "$(cat "$(inspect_field json '{{.HostConfig.LogConfig.Path}}')")" =~ '"log":"a line\\n"'
	run_vpod logs json
	assert "$output" = "a line"
	run_vpod run --name none --log-driver none --network none $IMAGE echo "a line"
	assert "$output" = "a line"
	run_vpod 125 logs none
	assert "$stderr" =~ "none"
	run_vpod run --name path --log-opt path="$T/tmp/own.log" --network none $IMAGE echo "a line"
	file_has "$T/tmp/own.log" "a line"
	run_vpod logs path
	assert "$output" = "a line"
	run_vpod rm path
	[ ! -e "$T/tmp/own.log" ]
}

@test "vpod run --log-opt max-size: the log stays small and its end is kept" {
	run_vpod run --name small --log-opt max-size=20k --network none $IMAGE sh -c 'seq 1 20000' 
	path=$(inspect_field small '{{.HostConfig.LogConfig.Path}}')
	assert "$(cat "$path"* | wc -c)" -le 45000 "bytes of log"
	run_vpod logs --tail 1 small
	assert "$output" = 20000
}

@test "vpod logs: long lines and many lines are whole" {
	run_vpod run --name long --network none $IMAGE sh -c 'head -c 100000 /dev/zero | tr "\0" x; echo; seq 1 5000'
	vpod logs long > "$T/log"
	assert "$(head -n 1 "$T/log" | wc -c)" -eq 100001
	assert "$(tail -n +2 "$T/log" | md5sum)" = "$(seq 1 5000 | md5sum)"
}
