#!/usr/bin/env bats
# vpod import: images from archives of files.

load helpers

# A root file system of the test image's files, as archives.
setup_file() {
	file_setup
	mkdir "$T/saved" "$T/files"
	tar -C "$T/saved" -xf "$VPOD_TEST_IMAGE"
	cp "$T/saved"/layer.tar "$T/files/root.tar"
	gzip --keep "$T/files/root.tar"
	xz --keep "$T/files/root.tar"
}

@test "vpod import: an image that runs, with what --change says" {
	run_vpod import --message "from files" --change "CMD echo default" --change 'ENV A=b c' --change "WORKDIR /tmp" --change "USER app" \
		--change "LABEL x=y" --change "EXPOSE 80" --change "VOLUME /data" --change "STOPSIGNAL SIGINT" "$T/files/root.tar" imported:1
	assert "$output" =~ '^sha256:[0-9a-f]{64}$'
	id=${output#sha256:}
	assert "$stderr" =~ "Copying blob"
	assert "$(vpod image inspect --format '{{.Id}}' localhost/imported:1)" = "$id"
	run_vpod run --rm --network none localhost/imported:1
	assert "$output" = default
	run_vpod run --rm --network none localhost/imported:1 sh -c 'echo "$A $(pwd) $(id -un)"'
	assert "$output" = "b c /tmp app"
	run_vpod image inspect --format '{{.Config.Labels}} {{.Config.ExposedPorts}} {{.Config.Volumes}} {{.Config.StopSignal}}' "$id"
	assert "$output" = "map[x:y] map[80/tcp:{}] map[/data:{}] 2"
	run_vpod history --format '{{.CreatedBy}}|{{.Comment}}' "$id"
	assert "$output" =~ "ADD file:.*|from files"
	# Others see the same.
	run_logged podman image inspect --format '{{.Comment}} {{.Config.Cmd}}' localhost/imported:1
	assert "$output" = "from files [/bin/sh -c echo default]"
	run_vpod rmi localhost/imported:1
}

@test "vpod import: compressed, by pipe, under an odd name" {
	cp "$T/files/root.tar" "$T/files/odd:name.tar"
	for source in root.tar.gz root.tar.xz odd:name.tar; do
		run_vpod import --quiet "$T/files/$source" localhost/x:1
		assert "$stderr" = ""
		run_vpod image exists localhost/x:1
		run_vpod rmi localhost/x:1
	done
	vpod import --quiet - localhost/x:1 < "$T/files/root.tar.gz"
	cat "$T/files/root.tar" | vpod import --quiet /dev/stdin localhost/x:2
	run_vpod run --rm --network none localhost/x:2 cat /etc/motd
	assert "$output" = "vpod demo image"
	run_vpod rmi localhost/x:1 localhost/x:2
}

@test "vpod import: for another platform" {
	run_vpod import --quiet --os linux --arch arm64 --variant v8 "$T/files/root.tar" localhost/foreign:1
	run_vpod image inspect --format '{{.Os}}/{{.Architecture}}' localhost/foreign:1
	assert "$output" = linux/arm64
	run_vpod 125 run --rm --network none localhost/foreign:1 true
	assert "$stderr" =~ "arm64"
	run_vpod rmi localhost/foreign:1
}

@test "vpod import: from a server" {
	local port
	port=$(free_port)
	(cd "$T/files" && exec "$PYTHON" -m http.server --bind 127.0.0.1 "$port") > /dev/null 2>&1 3>&- &
	server=$!
	wait_until 10 bash -c "exec 7<> /dev/tcp/127.0.0.1/$port" 2> /dev/null
	run_vpod import --quiet "http://127.0.0.1:$port/root.tar.gz" localhost/fetched:1
	run_vpod image exists localhost/fetched:1
	run_vpod 125 import "http://127.0.0.1:$port/none.tar" localhost/fetched:2
	assert "$stderr" =~ "404"
	kill "$server"
	wait "$server" || true
	run_vpod 125 import "http://127.0.0.1:$port/root.tar" localhost/fetched:2
	assert "$stderr" =~ "refused"
	run_vpod 125 import "ftp://127.0.0.1/root.tar"
	assert "$stderr" =~ "http or https"
	run_vpod rmi localhost/fetched:1
}

@test "vpod import: what is wrong is named, nothing is left" {
	run_vpod 125 import /no/such/file
	assert "$stderr" =~ "/no/such/file"
	run_vpod 125 import "$T/files"
	assert "$stderr" =~ "directory"
	run_vpod 125 import /etc/passwd localhost/bad:1
	assert "$stderr" = "Error: import /etc/passwd: not a tar archive: archive/tar: invalid tar header"
	run_vpod 125 import /dev/null localhost/bad:1
	assert "$stderr" =~ "empty"
	head -c 300000 "$T/files/root.tar" > "$T/cut.tar"
	run_vpod 125 import "$T/cut.tar" localhost/bad:1
	run_vpod 125 import "$T/files/root.tar" 'UPPER/Case'
	run_vpod 125 import --change "FROM x" "$T/files/root.tar"
	assert "$stderr" =~ "FROM"
	run_vpod 125 import --change "ONBUILD RUN x" "$T/files/root.tar"
	assert "$stderr" =~ "ONBUILD"
	run_vpod 1 image exists localhost/bad:1
	rm "$T/cut.tar"
}
