#!/usr/bin/env bats
# One image store for vpod, buildah, skopeo and podman.

load helpers

# podman with the store of this file, without touching the host's cgroups or network.
podman_here() {
	run_logged podman --cgroup-manager cgroupfs --events-backend none "$@"
}

@test "buildah builds, vpod sees and runs at once" {
	ctr=$(buildah from --quiet --pull-never $IMAGE)
	echo "from buildah" > "$T/file"
	run_logged buildah copy "$ctr" "$T/file" /from-buildah
	run_logged buildah config --env BUILT=yes --workingdir /home/app --user app --entrypoint '["/bin/sh","-c"]' --cmd '["cat /from-buildah; echo $BUILT; pwd; id -un"]' "$ctr"
	run_logged buildah commit --quiet "$ctr" localhost/built:1
	run_logged buildah rm "$ctr"
	run_vpod images --format '{{.Repository}}:{{.Tag}}'
	assert "$output" =~ "localhost/built:1"
	run_vpod run --rm --network none localhost/built:1 'cat /from-buildah; echo $BUILT; pwd; id -un'
	assert "$output" = $'from buildah\nyes\n/home/app\napp'
	run_vpod rmi localhost/built:1
	run_logged buildah images --quiet
	assert "${#lines[@]}" -eq 1
}

@test "vpod loads, buildah, skopeo and podman see it" {
	run_logged buildah images
	assert "$output" =~ "localhost/busybox"
	run_logged skopeo inspect --config "$(store_name $IMAGE)"
	assert "$output" =~ "FROM_IMAGE=yes"
	podman_here images --format '{{.Repository}}:{{.Tag}}'
	assert "$output" =~ "$IMAGE"
}

@test "podman loads and removes, vpod follows" {
	podman_here tag $IMAGE localhost/by-podman:1
	run_vpod run --rm --network none localhost/by-podman:1 echo seen
	assert "$output" = seen
	podman_here rmi localhost/by-podman:1
	run_vpod 1 image exists localhost/by-podman:1
}

@test "a container of podman keeps its image from vpod; one of vpod needs none any more" {
	podman_here create --name pod --network none $IMAGE true
	run_vpod "?" rmi $IMAGE
	assert "$status" -ne 0
	run_vpod image exists $IMAGE
	podman_here rm pod
	run_vpod create --name ours --network none $IMAGE true
	capture podman rmi $IMAGE
	assert "$status" -eq 0
	run_vpod start --attach ours # its root disk is complete
	run_vpod rm ours
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
	assert "$(find "$T/d/vpod/images" -type f ! -name '*.lock' | wc -l)" -le 1 "root disks"
}

@test "an image removed and made again under the same name is converted again" {
	for text in first second; do
		ctr=$(buildah from --quiet --pull-never $IMAGE)
		echo "$text" > "$T/file"
		run_logged buildah copy "$ctr" "$T/file" /file
		run_logged buildah commit --quiet --rm "$ctr" localhost/same:1
		run_vpod run --rm --network none localhost/same:1 cat /file
		assert "$output" = "$text"
	done
	run_vpod rmi --all --force
	assert "$(find "$T/d/vpod/images" -type f ! -name '*.lock' | wc -l)" -eq 0 "root disks of removed images"
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
}
