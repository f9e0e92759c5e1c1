#!/usr/bin/env bats
# vpod ps.

load helpers

setup_file() {
	file_setup
	# One container of each kind, oldest first.
	vpod create --name made --label kind=made --network none $IMAGE true
	vpod run --name ended --label kind=ended --network none $IMAGE sh -c 'exit 5' || true
	vpod run --detach --name runs --label kind=runs --label extra=1 -p "127.0.0.1:$(free_port):80" $IMAGE sleep 1000
}

teardown() { :; }

@test "vpod ps: the running ones, as a table" {
	run_vpod ps
	assert "${lines[0]}" =~ '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$'
	assert "${lines[1]}" =~ '^[0-9a-f]{12} +localhost/busybox:test +sleep 1000 +.*ago +Up .*127\.0\.0\.1:[0-9]+->80/tcp +runs$'
	assert "${#lines[@]}" -eq 2 "lines"
	run_vpod ps --noheading
	assert "${#lines[@]}" -eq 1 "lines"
	run_vpod container ls
	assert "${#lines[@]}" -eq 2 "lines of the long form"
}

@test "vpod ps --all, --last, --latest, --quiet, --no-trunc" {
	run_vpod ps --all --format '{{.Names}}'
	assert "$output" = $'made\nended\nruns' "oldest first, as Podman"
	run_vpod ps --all
	assert "$output" =~ "Created "
	assert "$output" =~ 'Exited \(5\) '
	run_vpod ps --last 2 --format '{{.Names}}'
	assert "$output" = $'ended\nruns'
	run_vpod ps --latest --format '{{.Names}}'
	assert "$output" = runs
	run_vpod ps --all --quiet
	assert "$output" =~ $'^[0-9a-f]{12}\n[0-9a-f]{12}\n[0-9a-f]{12}$'
	run_vpod ps --quiet --no-trunc
	assert "$output" =~ '^[0-9a-f]{64}$'
}

filtered() { # FILTERS | NAMES
	local filters=() f
	for f in $1; do
		filters+=(--filter "$f")
	done
	run_vpod ps --all --sort created --format '{{.Names}}' "${filters[@]}"
	assert "$(echo $output)" = "$2" "ps $1"
}

@test "vpod ps --filter" {
	each_case filtered <<-'TABLE'
		status=created                | made
		status=exited                 | ended
		status=running                | runs
		status=running status=created | made runs
		name=^run                     | runs
		name=e                        | made ended
		label=kind                    | made ended runs
		label=kind=ended              | ended
		label=kind=runs label=extra   | runs
		label=nosuch                  | ''
		exited=5                      | ended
		exited=0                      | ''
		ancestor=localhost/busybox:test | made ended runs
		ancestor=busybox              | made ended runs
		ancestor=other                | ''
		before=ended                  | made
		since=made                    | ended runs
		network=none                  | made ended
		until=1h                      | ''
		label=kind status=exited      | ended
	TABLE
	id=$(inspect_field ended '{{.Id}}')
	run_vpod ps --all --quiet --no-trunc --filter "id=${id:0:10}"
	assert "$output" = "$id"
	for bad in nosuch=1 status=nosuch exited=x noequals; do
		run_vpod 125 ps --filter "$bad"
		assert "$stderr" =~ "${bad%%=*}"
	done
}

@test "vpod ps --sort" {
	run_vpod ps --all --sort names --format '{{.Names}}'
	assert "$output" = $'ended\nmade\nruns'
	for key in command created id image names runningfor size status; do
		run_vpod ps --all --sort "$key" --format '{{.Names}}'
		assert "${#lines[@]}" -eq 3 "lines"
	done
	run_vpod 125 ps --sort nosuch
	assert "$stderr" =~ "nosuch"
}

@test "vpod ps --size" {
	run_vpod ps --all --size
	assert "${lines[0]}" =~ "SIZE"
	assert "$output" =~ '[0-9.]+.?B \(virtual [0-9.]+.?B\)'
}

@test "vpod ps --format json: the keys of Podman" {
	run_vpod ps --all --format json
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		rows = {row["Names"][0]: row for row in json.loads(sys.argv[1])}
		assert set(rows) == {"made", "ended", "runs"}, rows
		keys = {"AutoRemove", "Command", "Created", "CreatedAt", "Exited", "ExitedAt", "ExitCode", "Id", "Image", "ImageID",
		        "IsInfra", "Labels", "Mounts", "Names", "Namespaces", "Networks", "Pid", "Pod", "PodName", "Ports", "Size",
		        "StartedAt", "State", "Status"}
		missing = keys - set(rows["runs"])
		assert not missing, missing
		runs, ended, made = rows["runs"], rows["ended"], rows["made"]
		assert runs["State"] == "running" and runs["Pid"] > 0 and not runs["Exited"], runs
		assert runs["Command"] == ["sleep", "1000"], runs
		assert runs["Labels"]["extra"] == "1", runs
		assert runs["Ports"][0]["container_port"] == 80 and runs["Ports"][0]["protocol"] == "tcp", runs
		assert ended["State"] == "exited" and ended["ExitCode"] == 5 and ended["Exited"], ended
		assert ended["ExitedAt"] >= ended["StartedAt"] >= ended["Created"] - 1, ended
		assert made["State"] == "created" and made["Pid"] == 0, made
		assert len(runs["Id"]) == 64 and len(runs["ImageID"]) == 64, runs
	PY
	run_vpod ps --filter name=nosuch --format json
	assert "$(tr -d ' \n' <<< "$output")" = "[]"
}

@test "vpod ps --format: templates" {
	each_case template <<-'TABLE'
		{{.ID}}                | ^[0-9a-f]{12}$
		{{.Image}}             | ^localhost/busybox:test$
		{{.Command}}           | sleep 1000
		{{.Names}}             | ^runs$
		{{.State}}             | ^running$
		{{.Status}}            | ^Up [A-Za-z0-9 ]+
		{{.Ports}}             | 127\.0\.0\.1:[0-9]+->80/tcp
		{{.Labels}}            | kind[:=]runs
		{{.RunningFor}}        | ago$
		{{.CreatedAt}}         | ^20[0-9]{2}-
		{{.Created}}           | ^20[0-9]{2}-
		{{.Pid}}               | ^[0-9]+$
		{{.ExitCode}}          | ^0$
		{{json .State}}        | ^"running"$
		table {{.Names}} {{.State}} | ^NAMES +STATE
	TABLE
	run_vpod 125 ps --format '{{.Nothing}}'
	assert "$stderr" =~ "Nothing"
	run_vpod 125 ps --format '{{'
}

template() { # TEMPLATE | REGULAR EXPRESSION
	run_vpod ps --filter name=runs --format "$1"
	assert "$output" =~ "$2" "ps --format $1"
}

@test "vpod: containers by the beginning of their id" {
	id=$(inspect_field runs '{{.Id}}')
	run_vpod inspect --format '{{.Name}}' "${id:0:8}"
	assert "$output" = runs
	run_vpod 125 inspect --type container nosuch
	assert "$stderr" =~ "nosuch"
}
