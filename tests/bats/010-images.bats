#!/usr/bin/env bats
# vpod images, rmi, and what holds an image.

load helpers

# Each test finds the test image alone.
teardown() {
	test_teardown
	if [ "$(vpod images --format '{{.Repository}}:{{.Tag}}')" != $IMAGE ]; then
		vpod rmi --all --force > /dev/null
		vpod load --quiet --input "$VPOD_TEST_IMAGE" > /dev/null
	fi
}

@test "vpod images: lists what is there" {
	run_vpod images
	assert "${lines[0]}" =~ "^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE"
	assert "${lines[1]}" =~ "^localhost/busybox +test +[0-9a-f]{12} "
	assert "${#lines[@]}" -eq 2 "lines"
	run_vpod images --noheading
	assert "${#lines[@]}" -eq 1 "lines without heading"
	run_vpod image ls --quiet
	assert "$output" =~ "^[0-9a-f]{12}$"
	short=$output
	run_vpod images --quiet --no-trunc
	assert "$output" =~ "^sha256:${short}[0-9a-f]{52}$"
	run_vpod images --digests
	assert "${lines[0]}" =~ "DIGEST"
	assert "${lines[1]}" =~ "sha256:[0-9a-f]{64}"
	run_vpod images --format '{{.Repository}} {{.Tag}}'
	assert "$output" = "localhost/busybox test"
	run_vpod images --format json
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		(image,) = json.loads(sys.argv[1])
		assert image["Names"] == ["localhost/busybox:test"], image
		assert len(image["Id"]) == 64, image
		assert image["Size"] > 1000000, image
		assert image["Labels"] == {"org.example.image": "busybox"}, image
		assert image["Containers"] == 0, image
	PY
}

@test "vpod images: by name and by filter" {
	run_vpod tag $IMAGE localhost/other:one
	# An image is shown with all of its names, as Podman does.
	each_case listed <<-'TABLE'
		localhost/busybox                        | localhost/busybox:test localhost/other:one
		other:one                                | localhost/busybox:test localhost/other:one
		localhost/none                           | ''
		--filter reference=*other*               | localhost/busybox:test localhost/other:one
		--filter reference=*none*                | ''
		--filter label=org.example.image         | localhost/busybox:test localhost/other:one
		--filter label=org.example.image=busybox | localhost/busybox:test localhost/other:one
		--filter label=org.example.image=x       | ''
		--filter dangling=true                   | ''
	TABLE
	run_vpod rmi localhost/other:one
	run_vpod 125 images --filter nosuch=x
	assert "$stderr" =~ "nosuch"
}

listed() { # ARGUMENTS | NAMES
	local args
	read -ra args <<< "$1"
	run_vpod images --noheading --sort repository --format '{{.Repository}}:{{.Tag}}' "${args[@]}"
	assert "$(echo $output)" = "$2" "images $1"
}

@test "vpod image exists" {
	run_vpod image exists $IMAGE
	run_vpod 1 image exists localhost/none
	assert "$output$stderr" = "" "output"
}

@test "vpod image inspect: what the image's configuration says" {
	run_vpod image inspect $IMAGE
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		(image,) = json.loads(sys.argv[1])
		assert "localhost/busybox:test" in image["RepoTags"], image
		assert image["Architecture"] == "amd64" and image["Os"] == "linux", image
		config = image["Config"]
		assert "FROM_IMAGE=yes" in config["Env"], config
		assert config["Cmd"] == ["/bin/sh"], config
		assert config["ExposedPorts"] == {"8080/tcp": {}}, config
		assert config["Volumes"] == {"/var/lib/data": {}}, config
		assert config["StopSignal"] == "SIGTERM", config
		assert len(image["RootFS"]["Layers"]) == 1, image
	PY
	run_vpod inspect --type image --format '{{.Id}}' $IMAGE
	id=$output
	run_vpod inspect --format '{{.Id}}' "${id:0:12}"
	assert "$output" = "$id" "found by the beginning of its id"
	run_vpod 125 image inspect localhost/none
	assert "$stderr" =~ "localhost/none"
}

@test "vpod rmi: a tag, then the image" {
	run_vpod tag $IMAGE localhost/second:tag
	run_vpod rmi localhost/second:tag
	assert "$output" =~ "Untagged: localhost/second:tag"
	run_vpod images --noheading
	assert "${#lines[@]}" -eq 1
	run_vpod 1 rmi localhost/none:x
	assert "$stderr" =~ "localhost/none:x"
	run_vpod rmi --ignore localhost/none:x
}

@test "vpod rmi: an image in use is refused, --force removes its containers" {
	run_vpod create --name holder --network none $IMAGE true
	run_vpod 2 rmi $IMAGE
	assert "$stderr" =~ "in use"
	run_vpod image exists $IMAGE
	run_vpod image inspect --format '{{.Id}}' $IMAGE
	id=$output
	assert "$(find "$T/d/vpod/images" -name "$id*" | wc -l)" -ge 1 "root disk of the image"
	run_vpod rmi --force $IMAGE
	assert "$output" =~ "Deleted: "
	run_vpod ps --all --quiet
	assert "$output" = "" "containers"
	assert "$(find "$T/d/vpod/images" -type f ! -name '*.lock' | wc -l)" -eq 0 "root disks go with their images"
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
}

@test "vpod rmi --all: removes every image" {
	run_vpod rmi --all
	run_vpod images --quiet
	assert "$output" = ""
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
}

@test "vpod images: what a running container uses stays usable" {
	run_vpod run --detach --name user --network none $IMAGE sleep 1000
	run_vpod 2 rmi $IMAGE
	run_vpod exec user cat /etc/motd
	assert "$output" = "vpod demo image"
}
