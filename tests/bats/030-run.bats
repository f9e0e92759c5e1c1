#!/usr/bin/env bats
# vpod run: starting, ending, exit codes, names and files of its own.

load helpers

ends_with() { # CODE | COMMAND OF THE CONTAINER | ERROR NAMES
	local command
	eval "command=($2)"
	run_vpod "$1" run --rm --network none $IMAGE "${command[@]}"
	[ -z "$3" ] || assert "$stderr" =~ "$3"
}

@test "vpod run: exit codes" {
	each_case ends_with <<-'TABLE'
		0   | true                      | ''
		1   | false                     | ''
		255 | sh -c "exit 255"          | ''
		0   | sh -c 'kill -TERM $$'     | ''
		127 | /no/such/command          | /no/such/command
		127 | nosuchcommand             | nosuchcommand.*not found
		126 | /etc                      | /etc
		126 | /etc/passwd               | /etc/passwd.*[Pp]ermission
	TABLE
	# Process 1 of a container does not take signals from within; below an init it does.
	run_vpod 143 run --rm --init --network none $IMAGE sh -c 'kill -TERM $$'
	run_vpod 137 run --rm --init --network none $IMAGE sh -c 'kill -KILL $$'
	run_vpod ps --all --quiet
	assert "$output" = "" "containers"
}

@test "vpod run: without --rm the container stays, with its exit code" {
	run_vpod 3 run --name stays --network none $IMAGE sh -c 'echo out; exit 3'
	run_vpod ps --all --format '{{.Names}} {{.Status}}'
	assert "$output" =~ "^stays Exited \(3\) "
	run_vpod logs stays
	assert "$output" = "out"
	# As in Podman, one whose command did not come to run stays as created.
	run_vpod 127 run --name nocommand --network none $IMAGE /no/such/command
	assert "$(inspect_field nocommand '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}')" =~ "^created 0 .*/no/such/command"
	run_vpod ps --all --filter name=nocommand --format '{{.Status}}'
	assert "$output" = Created
}

@test "vpod run --detach: prints the id and returns" {
	run_vpod run --detach --name bg --network none $IMAGE sh -c 'echo started; exec sleep 1000'
	assert "$output" =~ "^[0-9a-f]{64}$" "standard output"
	id=$output
	wait_until 20 log_has bg started
	run_vpod ps --no-trunc --format '{{.ID}} {{.State}}'
	assert "$output" = "$id running"
	# It belongs to nobody: no controlling terminal, its own session.
	monitor=$(inspect_field bg '{{.State.ConmonPid}}')
	assert "$(ps -o sid= -p "$monitor" | tr -d ' ')" = "$monitor" "session of the monitor"
	assert "$(ps -o tty= -p "$monitor" | tr -d ' ')" = "?" "terminal of the monitor"
	run_vpod rm --force --time 0 bg
	wait_until 5 is_gone "$monitor"
}

@test "vpod run --detach: the monitor keeps no descriptor and no directory of the caller" {
	mkdir "$T/tmp/cwd"
	(
		cd "$T/tmp/cwd" || exit 1
		exec 9> "$T/tmp/held" 8< /dev/zero
		run_vpod run --detach --name clean --network none $IMAGE sleep 1000
	)
	for pid in $(inspect_field clean '{{.State.ConmonPid}} {{.State.Pid}}'); do
		assert "$(readlink "/proc/$pid/fd/"* | grep -cE 'tmp/held|/dev/zero')" = "0" "descriptors of process $pid"
		assert "$(readlink "/proc/$pid/cwd")" = "/" "directory of process $pid"
	done
	rm -r "$T/tmp/cwd" "$T/tmp/held"
}

@test "vpod run -i: standard input reaches the command, and its end" {
	run_vpod run -i --rm --network none $IMAGE sh -c 'read -r a; read -r b; echo "$b-$a"; cat' <<< $'one\ntwo\nthree'
	assert "$output" = $'two-one\nthree'
	# Without -i there is no input.
	run_vpod run --rm --network none $IMAGE cat <<< "ignored"
	assert "$output" = ""
}

@test "vpod run: standard output and standard error are kept apart, byte for byte" {
	"$VPOD" --root "$T/d" --runroot "$T/r" run --rm --network none $IMAGE \
		sh -c 'printf "a\0b\377c"; printf "\r\n\033[1m" >&2' > "$T/out" 2> "$T/err"
	assert "$(od -An -c "$T/out" | tr -s ' ')" = ' a \0 b 377 c'
	assert "$(od -An -c "$T/err" | tr -s ' ')" = ' \r \n 033 [ 1 m'
}

@test "vpod run --rm: the container goes even when the command is killed" {
	start_vpod run --rm --name orphan --network none $IMAGE sh -c 'echo here; sleep 3'
	wait_until 60 file_has "$T/started.out" here
	kill -KILL "$started"
	run_vpod ps --format '{{.Names}}'
	assert "$output" = "orphan" "it runs on"
	id=$(inspect_field orphan '{{.Id}}')
	gone() { ! test -d "$T/d/vpod/containers/$id"; }
	wait_until 30 gone # without any command's help: its monitor sees to it
	run_vpod ps --all --quiet
	assert "$output" = ""
}

@test "vpod run --name: in use, malformed" {
	run_vpod create --name taken --network none $IMAGE true
	id=$output
	run_vpod 125 run --name taken --network none $IMAGE true
	assert "$stderr" =~ "name \"?taken\"? is already in use"
	assert "$stderr" =~ "${id:0:12}"
	assert "$(vpod ps --all --quiet | wc -l)" -eq 1 "containers"
	for name in 'a b' '-x' 'a/b' '.x' 'ü'; do
		run_vpod 125 create --name="$name" --network none $IMAGE true
		assert "$stderr" =~ "name"
	done
}

@test "vpod run --replace: takes the place of a container, running or not" {
	run_vpod run --detach --name one --network none $IMAGE sleep 1000
	first=$output
	run_vpod create --replace --name one --network none $IMAGE true
	assert "$output" != "$first"
	assert "$(vpod ps --all --no-trunc --quiet)" = "$output" "containers"
	run_vpod 125 run --replace --network none $IMAGE true
	assert "$stderr" =~ "--name"
}

@test "vpod run --cidfile" {
	run_vpod run --cidfile "$T/cid" --name cid --network none $IMAGE true
	assert "$(cat "$T/cid")" = "$(inspect_field cid '{{.Id}}')"
	run_vpod 125 run --cidfile "$T/cid" --network none $IMAGE true
	assert "$stderr" =~ "$T/cid"
	rm "$T/cid"
	run_vpod 125 run --cidfile "$T/cid2" --pull never --network none localhost/none true
	[ ! -e "$T/cid2" ] || die "a failed run leaves its --cidfile"
}

@test "vpod run --timeout: kills the container" {
	SECONDS=0
	run_vpod 255 run --rm --timeout 2 --network none $IMAGE sleep 1000
	assert "$stderr" =~ "timeout"
	assert "$SECONDS" -lt 60
}

@test "vpod run --init: reaps orphans and forwards signals" {
	run_vpod run --detach --init --name init --network none $IMAGE sh -c 'trap "exit 9" TERM; (sleep 0.1 &); echo up; while :; do sleep 0.1; done'
	wait_until 20 log_has init up
	run_vpod exec init sh -c 'sleep 0.5; ps -o pid,stat,comm'
	assert "$output" !~ " Z " "zombies"
	assert "$output" !~ "^ +1 [A-Z]+ +sh$" "process 1"
	run_vpod stop init
	assert "$(inspect_field init '{{.State.ExitCode}}')" = 9
}

@test "vpod run --label, --label-file, --annotation" {
	printf '# comment\nfrom.file=1\n\nempty\n' > "$T/labels"
	run_vpod create --name l -l a=b --label c --label-file "$T/labels" --annotation note=x --network none $IMAGE
	run_vpod inspect --format '{{json .Config.Labels}}' l
	assert "$output" = '{"a":"b","c":"","empty":"","from.file":"1","org.example.image":"busybox"}'
	assert "$(inspect_field l '{{index .Config.Annotations "note"}}')" = x
	run_vpod 125 create --label-file "$T/none" --network none $IMAGE
	assert "$stderr" =~ "$T/none"
}

@test "vpod run --attach: only the streams that are named" {
	run_vpod run --rm --attach stdout --network none $IMAGE sh -c 'echo out; echo err >&2'
	assert "$output" = out
	assert "$stderr" !~ err
	run_vpod run --rm -a stderr --network none $IMAGE sh -c 'echo out; echo err >&2'
	assert "$output" = ""
	assert "$stderr" =~ 'err'
	run_vpod 125 run --rm -a nothing --network none $IMAGE true
	assert "$stderr" =~ "nothing"
}

@test "vpod run --pull" {
	run_vpod run --rm --pull never --network none $IMAGE true
	run_vpod 125 run --rm --pull never --network none localhost/none true
	assert "$stderr" =~ "localhost/none"
	run_vpod 125 run --rm --pull sometimes --network none $IMAGE true
	assert "$stderr" =~ "sometimes"
}

@test "vpod run: what Podman has and vpod refuses is refused with a reason" {
	each_case refused <<-'TABLE'
		--volume /tmp:/x     | --volume        | --tmpfs
		-v /tmp:/x           | -v              | --tmpfs
		--device /dev/fuse   | --device        | machine
		--pid host           | --pid           | kernel
		--userns keep-id     | --userns        | kernel
		--network host       | --network host  | --publish
		--network mynet      | --network mynet | --network
		--cpu-shares 5       | --cpu-shares    | --cpus
		--oom-score-adj 1    | --oom-score-adj | --memory
		--health-cmd true    | --health-cmd    | .
		--log-driver journald| journald        | k8s-file
		--memory-swap 1g     | --memory-swap   | --memory
		--security-opt label=type:x | label    | SELinux
		--group-add keep-groups | keep-groups  | groups
	TABLE
}

refused() { # OPTION | NAMED | HINT
	run_vpod 125 run --rm $1 $IMAGE true
	assert "$stderr" =~ "Error: " "message"
	[[ $stderr == *"$2"* ]] || die "the error does not name $2: $stderr"
	[[ $stderr =~ $3 ]] || die "the error gives no reason or hint like $3: $stderr"
	assert "$output" = "" "standard output"
}

@test "vpod run: bad values are named" {
	each_case refused <<-'TABLE'
		--memory lots              | lots         | --memory
		--memory -1                | -1           | --memory
		--cpus many                | many         | cpus
		--cpus -1                  | -1           | --cpus
		--cpus 4000                | 4000         | --cpus
		--env =x                   | =x           | --env
		--env-file /no/such        | /no/such     | --env-file
		--workdir rel              | rel          | --workdir
		--user :x                  | :x           | --user
		--cap-add NOSUCH           | NOSUCH       | --cap-add
		--cap-drop NOSUCH          | NOSUCH       | --cap-drop
		--security-opt nosuch      | nosuch       | --security-opt
		--security-opt seccomp=/no/such | /no/such | --security-opt
		--shm-size x               | x            | --shm-size
		--storage-opt size=0       | size         | --storage-opt
		--storage-opt nosuch=1     | nosuch       | size
		--tmpfs rel                | rel          | --tmpfs
		--tmpfs /x:nosuch          | nosuch       | --tmpfs
		--ulimit nosuch=1          | nosuch       | .
		--ulimit nofile=9:5        | nofile       | .
		--sysctl nothing           | nothing      | .
		--publish 0                | 0            | form
		--publish x:80             | x            | form
		--publish 80/icmp          | icmp         | tcp
		--publish 80-81:80         | 80           | .
		--add-host x               | x            | form
		--add-host x:y             | y            | --add-host
		--dns x                    | x            | --dns
		--hostname a_b-            | a_b-         | --hostname
		--umask 9                  | 9            | --umask
		--tz No/Where              | No/Where     | zone
		--stop-signal NOSUCH       | NOSUCH       | --stop-signal
		--restart sometimes        | sometimes    | on-failure
		--restart always:3         | always:3     | on-failure
		--rm --restart always      | --restart    | --rm
		--log-opt max-size=x       | max-size     | --log-opt
		--log-opt nosuch=1         | nosuch       | max-size
		--machine pc               | pc           | microvm
		--accel xen                | xen          | tcg
		--rootfs-mode nfs          | nfs          | virtiofs
		--kernel /no/such          | /no/such     | --kernel
		--kernel /etc              | /etc         | --kernel
		--detach-keys nosuch       | nosuch       | --detach-keys
		--platform linux           | linux        | .
		--label =x                 | =x           | label
		--attach nowhere           | nowhere      | stdin
		--group-add ''             | --group-add  | .
		--pull often               | often        | pull
		--no-hosts --add-host a:1.2.3.4 | --no-hosts | --add-host
	TABLE
	run_vpod ps --all --quiet
	assert "$output" = "" "containers"
}

@test "vpod run --platform: an image of another architecture is refused" {
	run_vpod 125 run --rm --platform linux/arm64 --pull never --network none $IMAGE true
	assert "$stderr" =~ "arm64"
	run_vpod run --rm --platform linux/amd64 --network none $IMAGE true
}
