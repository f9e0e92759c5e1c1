#!/usr/bin/env bats
# vpod rm.

load helpers

@test "vpod rm: removes with all it has" {
	run_vpod run --name r --network none $IMAGE true
	id=$(inspect_field r '{{.Id}}')
	[ -d "$T/d/vpod/containers/$id" ]
	run_vpod rm r
	assert "$output" = r
	[ ! -e "$T/d/vpod/containers/$id" ]
	[ ! -e "$T/r/vpod/containers/$id" ]
	run_vpod 1 rm r
	assert "$stderr" =~ "r"
	run_vpod rm --ignore r
}

@test "vpod rm: a running one is refused, --force ends it" {
	run_vpod run --detach --name busy --network none $IMAGE sleep 1000
	run_vpod 2 rm busy
	assert "$stderr" =~ "running"
	assert "$stderr" =~ "--force" "what to do"
	has_state busy running
	run_vpod rm --force --time 0 busy
	assert "$output" = busy
	assert "$(machine_processes "$T")" = "" "processes"
}

@test "vpod rm: several, --all, --filter, --cidfile, --latest" {
	for n in 1 2 3 4 5; do
		run_vpod create --cidfile "$T/cid$n" --name "m$n" --label n=$n --network none $IMAGE true
	done
	run_vpod 1 rm m1 nosuch
	assert "$output" = m1
	run_vpod rm --cidfile "$T/cid2"
	run_vpod rm --filter label=n=3
	run_vpod rm --latest
	assert "$(vpod ps --all --format '{{.Names}}')" = m4
	run_vpod run --detach --name running --network none $IMAGE sleep 1000
	run_vpod 2 rm --all
	assert "$(vpod ps --all --format '{{.Names}}')" = running
	run_vpod rm --all --force --time 0
	run_vpod ps --all --quiet
	assert "$output" = ""
	rm "$T"/cid?
}

@test "vpod rm: twice at once" {
	run_vpod create --name once --network none $IMAGE true
	for n in 1 2 3 4 5; do
		vpod rm --ignore once > "$T/rm$n" 2>&1 3>&- &
	done
	for job in $(jobs -p); do
		wait "$job"
	done
	run_vpod ps --all --quiet
	assert "$output" = ""
	rm "$T"/rm?
}
