#!/usr/bin/env bats
# No space, or no writing at all, where vpod keeps its files. Needs a small file
# system of its own, which only root can mount.

load helpers

setup() {
	skip_if_rootless "a small file system is mounted"
	mkdir -p "$T/small"
}

teardown() {
	if mountpoint -q "$T/small"; then
		"$VPOD" --root "$T/small/d" --runroot "$T/r" rm --all --force --time 0 > /dev/null || true
		umount "$T/small/d/overlay" 2>/dev/null || true
		umount "$T/small"
	fi
	test_teardown
}

# on_small SIZE: a tmpfs of that size with the test image's archive loaded, if it fits.
on_small() { mount -t tmpfs -o "size=$1" none "$T/small"; }

# small [CODE] ARG...: as run_vpod, with its data on the small file system.
small() {
	local code=0
	if [[ $1 =~ ^([0-9]+|\?)$ ]]; then
		code=$1
		shift
	fi
	CONTAINERS_STORAGE_CONF=$T/conf/small.conf
	sed "s,$T/d,$T/small/d," "$T/conf/storage.conf" > "$CONTAINERS_STORAGE_CONF"
	export CONTAINERS_STORAGE_CONF
	logged "vpod (small)$(printf ' %q' "$@")"
	capture timeout "$VPOD_TIMEOUT" "$VPOD" --root "$T/small/d" --runroot "$T/r" "$@"
	[ "$code" = "?" ] || assert "$status" -eq "$code" "exit code"
}

@test "no space for an image" {
	on_small 2m
	small 125 load --input "$VPOD_TEST_IMAGE"
	assert "$stderr" =~ "no space left on device"
}

@test "no space while converting" {
	on_small 16m
	small load --quiet --input "$VPOD_TEST_IMAGE"
	free=$(df --output=avail -k "$T/small" | tail -n 1)
	head -c "$(((free - 900) * 1024))" /dev/zero > "$T/small/filler"
	small 125 run --rm --network none $IMAGE true
	assert "$stderr" =~ "[Nn]o space|not enough space|space left"
	assert "$stderr" =~ "$T/small" "where"
	assert "$(find "$T/small/d/vpod/images" -type f -size +0 2>/dev/null | wc -l)" -eq 0 "half-made disks"
	small ps --all --quiet
	assert "$output" = ""
	rm "$T/small/filler"
	small run --rm --network none $IMAGE echo works
	assert "$output" = works
}

@test "no space for the scratch disk or the records" {
	on_small 16m
	small load --quiet --input "$VPOD_TEST_IMAGE"
	small run --rm --network none $IMAGE true
	head -c 64m /dev/zero > "$T/small/filler" 2>/dev/null || true
	small "?" run --rm --network none $IMAGE true
	assert "$status" -eq 125
	assert "$stderr" =~ "space|full"
	rm "$T/small/filler"
	small ps --all --quiet
	assert "$output" = ""
	small run --rm --network none $IMAGE echo works
	assert "$output" = works
}

@test "the disk fills while a container writes its log" {
	on_small 24m
	small load --quiet --input "$VPOD_TEST_IMAGE"
	small "?" run --name logs --network none $IMAGE sh -c 'i=0; while [ $i -lt 400 ]; do head -c 100000 /dev/zero | tr "\0" x; echo; i=$((i+1)); done; echo end >&2'
	assert "$stderr" =~ "end" "the container is not held up"
	[ "$status" -eq 0 ] || assert "$stderr" =~ "full|space" "why its end is not recorded"
	small rm logs # it frees the space it needs
}

@test "the disk fills while a container writes to its root file system" {
	on_small 32m
	small load --quiet --input "$VPOD_TEST_IMAGE"
	small "?" run --name writes --network none --log-driver none $IMAGE sh -c 'dd if=/dev/zero of=/big bs=1M count=100 conv=fsync 2>&1; echo "dd $?"'
	small ps --all --format '{{.Names}} {{.State}}'
	assert "$output" = "writes exited" "the container came to an end"
	small rm writes
}

@test "a read-only data directory" {
	on_small 16m
	small load --quiet --input "$VPOD_TEST_IMAGE"
	small create --name there --network none $IMAGE true
	umount "$T/small/d/overlay" 2>/dev/null || true
	mount -o remount,ro "$T/small"
	small 125 run --rm --network none $IMAGE true
	assert "$stderr" =~ "[Rr]ead-only"
	mount -o remount,rw "$T/small"
	small rm there
}
