#!/usr/bin/env bats
# vpod system df: what is on the disk.

load helpers

@test "vpod system df: images, containers, their disks" {
	run_vpod system df
	assert "${lines[0]}" =~ "^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE"
	assert "${lines[1]}" =~ "^Images +1 +0 +2\.[0-9]+MB +2\.[0-9]+MB \(100%\)"
	assert "${lines[2]}" =~ "^Containers +0 +0 +0B +0B \(0%\)"
	run_vpod run --detach --name holder --network none $IMAGE sh -c 'head -c 3000000 /dev/urandom > /data; sync; echo written; sleep 1000'
	wait_until 60 log_has holder written
	run_vpod system df
	assert "${lines[1]}" =~ "^Images +1 +1 +2\.[0-9]+MB +0B \(0%\)"
	assert "${lines[2]}" =~ "^Containers +1 +1 +[0-9.]+MB +0B \(0%\)"
	assert "${lines[3]}" =~ "^Image Disks +1 +1 +[0-9.]+MB +0B \(0%\)"
	run_vpod system df --format '{{.Type}} {{.RawSize}}'
	assert "${lines[2]}" =~ "^Image Disks $(stat -c %s "$T"/d/vpod/images/*.erofs)$"
	run_vpod stop --time 0 holder
	run_vpod system df --format json
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		rows = {r["Type"]: r for r in json.loads(sys.argv[1])}
		assert rows["Containers"]["RawReclaimable"] >= 3000000, rows
		assert rows["Images"]["Active"] == 1, rows
	PY
	run_vpod rm holder
	run_vpod system df --format '{{.Type}} {{.Active}}'
	assert "${lines[2]}" = "Image Disks 0"
}

@test "vpod system df: layers that images share are counted once" {
	printf 'FROM %s\nLABEL a=b\n' $IMAGE > "$T/Containerfile"
	buildah bud --quiet --tag localhost/built:1 --file "$T/Containerfile" "$T/conf" > /dev/null
	run_vpod system df --format '{{.Type}} {{.Total}} {{.RawSize}}'
	read -r _ total size <<< "${lines[0]}"
	assert "$total" -eq 2
	assert "$size" -lt 3000000 "bytes"
	run_vpod system df --verbose
	assert "$output" =~ "localhost/built +1 +[0-9a-f]{12} +.*2\.[0-9]+MB +2\.[0-9]+MB +[0-9.]+k?B +0"
	assert "$output" =~ "Image disks space usage:"
	assert "$output" =~ "Machine templates space usage:"
	run_vpod rmi localhost/built:1
	rm "$T/Containerfile"
	run_vpod 125 system df --verbose --format json
	assert "$stderr" =~ "cannot combine"
}

@test "vpod system prune: counts the disks of images" {
	run_vpod run --rm --network none $IMAGE true
	disk=$(stat -c %s "$T"/d/vpod/images/*.erofs)
	run_vpod system prune --all --force --filter until=1s
	assert "$output" =~ "Deleted Images"
	reclaimed=$(sed -n 's/Total reclaimed space: \([0-9.]*\)MB/\1/p' <<< "$output")
	assert "${reclaimed%%.*}" -ge $(((disk + 2000000) / 1000000)) "megabytes"
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
}
