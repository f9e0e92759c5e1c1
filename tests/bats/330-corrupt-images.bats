#!/usr/bin/env bats
# Images and caches that are damaged.

load helpers

@test "a root disk that was damaged or cut is made again or refused, never run" {
	run_vpod run --rm --network none $IMAGE true
	disk=$(find "$T/d/vpod/images" -type f -size +100k)
	assert "$(wc -l <<< "$disk")" -eq 1 "root disks"
	truncate -s 4096 "$disk"
	run_vpod "?" run --rm --network none $IMAGE cat /etc/motd
	if [ "$status" -eq 0 ]; then
		assert "$output" = "vpod demo image"
	else
		assert "$status" -eq 125
	fi
	rm -f "$disk"
	run_vpod run --rm --network none $IMAGE cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "an archive whose layer is not what its config says" {
	mkdir "$T/bad"
	tar -C "$T/bad" -xf "$VPOD_TEST_IMAGE"
	tar -C "$T/bad" --exclude=etc -cf "$T/bad/layer.tar" manifest.json
	tar -C "$T/bad" -cf "$T/bad.tar" manifest.json config.json layer.tar
	run_vpod rmi --all --force
	run_vpod 125 load --input "$T/bad.tar"
	run_vpod 125 pull "docker-archive:$T/bad.tar"
	run_vpod images --quiet
	assert "$output" = ""
	rm -r "$T/bad" "$T/bad.tar"
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
}

@test "an archive with paths that lead outside is refused or stays inside" {
	mkdir -p "$T/evil/root"
	cd "$T/evil"
	echo evil > outside
	tar -cf layer.tar --transform 's,^outside$,../../../../../../../../../../../../../../tmp/vpod-evil,' --absolute-names outside
	diff_id=$(sha256sum layer.tar | cut -d' ' -f1)
	printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["/x"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$diff_id" > config.json
	printf '[{"Config":"config.json","RepoTags":["localhost/evil:1"],"Layers":["layer.tar"]}]' > manifest.json
	tar -cf "$T/evil.tar" manifest.json config.json layer.tar
	run_vpod "?" load --input "$T/evil.tar"
	[ ! -e /tmp/vpod-evil ]
	cd "$T"
	run_vpod "?" run --rm --network none localhost/evil:1
	assert "$status" -ne 0
	run_vpod rmi --force --ignore localhost/evil:1
	rm -r "$T/evil" "$T/evil.tar"
}

@test "a damaged state database is told, not overwritten" {
	run_vpod create --name there --network none $IMAGE true
	cp "$T/d/vpod/vpod.db" "$T/saved.db"
	printf 'this is not a database, not at all, really' > "$T/d/vpod/vpod.db"
	run_vpod 125 ps --all
	assert "$stderr" =~ "vpod.db"
	cp "$T/saved.db" "$T/d/vpod/vpod.db"
	run_vpod ps --all --format '{{.Names}}'
	assert "$output" = there
	rm "$T/saved.db"
}

@test "a state of a newer vpod is refused" {
	cp "$T/d/vpod/vpod.db" "$T/saved.db"
	"$PYTHON" -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute("pragma user_version = 9999"); db.commit()' "$T/d/vpod/vpod.db"
	run_vpod 125 ps --all
	assert "$stderr" =~ "newer"
	cp "$T/saved.db" "$T/d/vpod/vpod.db"
	rm "$T/saved.db"
}
