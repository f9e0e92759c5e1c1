#!/usr/bin/env bats
# vpod image copy, sync, search, and image inspect of what is not in the store.

load helpers
load registry

setup_file() {
	file_setup
	start_registry
	start_locked_registry
	skopeo copy --quiet "docker-archive:$VPOD_TEST_IMAGE" "oci:$T/layout:1"
	skopeo copy --quiet --dest-tls-verify=false "oci:$T/layout:1" "docker://$REGISTRY/test/app:1"
	skopeo copy --quiet --dest-tls-verify=false "oci:$T/layout:1" "docker://$REGISTRY/test/app:2"
}

teardown_file() {
	stop_registries
	file_teardown
}

chain() { # SOURCE | DESTINATION
	local src=${1//DIR/$T} dst=${2//DIR/$T}
	run_vpod image copy --quiet --digestfile "$T/digest" "${src//REGISTRY/$REGISTRY}" "${dst//REGISTRY/$REGISTRY}"
	assert "$output" = ""
	assert "$stderr" = ""
	assert "$(cat "$T/digest")" =~ '^sha256:[0-9a-f]{64}$'
	assert "$(skopeo inspect --tls-verify=false --format '{{index .Labels "org.example.image"}}' "${dst//REGISTRY/$REGISTRY}")" = busybox
}

@test "vpod image copy: between any two transports" {
	each_case chain <<-TABLE
		oci:DIR/layout:1                     | docker://REGISTRY/test/copied:1
		docker://REGISTRY/test/copied:1      | docker://REGISTRY/test/copied:2
		docker://REGISTRY/test/copied:2      | dir:DIR/out-dir
		dir:DIR/out-dir                      | oci-archive:DIR/out-oci.tar
		oci-archive:DIR/out-oci.tar          | docker-archive:DIR/out-docker.tar:localhost/x:1
		docker-archive:DIR/out-docker.tar    | oci:DIR/out-layout:1
	TABLE
	run_vpod images --quiet
	assert "${#lines[@]}" -eq 1 "the store took no part"
	run_vpod image copy --quiet "oci:$T/out-layout:1" "containers-storage:localhost/copied:1"
	run_vpod run --rm --network none localhost/copied:1 cat /etc/motd
	assert "$output" = "vpod demo image"
	run_vpod image copy --quiet containers-storage:localhost/copied:1 "dir:$T/out-again"
	run_vpod rmi localhost/copied:1
	rm -rf "$T"/out-*
}

@test "vpod image copy: logins and certificates of both ends" {
	run_vpod 125 image copy --quiet --dest-cert-dir "$T/certs" "oci:$T/layout:1" "docker://$LOCKED/test/app:1"
	assert "$stderr" =~ "vpod login"
	run_vpod image copy --quiet --dest-cert-dir "$T/certs" --dest-creds me:secret "oci:$T/layout:1" "docker://$LOCKED/test/app:1"
	run_vpod image copy --quiet --src-tls-verify=false --src-username me --src-password secret "docker://$LOCKED/test/app:1" "docker://$REGISTRY/test/from-locked:1"
	run_vpod image inspect --cert-dir "$T/certs" --creds me:secret --format '{{.Digest}}' "docker://$LOCKED/test/app:1"
	assert "$output" =~ ^sha256:
	run_vpod 125 image copy --src-creds a:b --src-no-creds "docker://$LOCKED/test/app:1" "dir:$T/x"
	assert "$stderr" =~ "only one of --src-creds"
}

@test "vpod image copy: lists" {
	for arch in amd64 arm64; do
		rm -rf "$T/a"
		cp -r "$T/layout" "$T/a"
		buildah from --name "a-$arch" --arch "$arch" scratch > /dev/null
		buildah commit --quiet --rm "a-$arch" "localhost/part-$arch" > /dev/null
	done
	buildah manifest create localhost/list localhost/part-amd64 localhost/part-arm64 > /dev/null
	buildah manifest push --all --tls-verify=false localhost/list "docker://$REGISTRY/test/list:1" 2>/dev/null
	buildah rmi --all --force > /dev/null 2>&1 || true
	vpod load --quiet --input "$VPOD_TEST_IMAGE" > /dev/null
	run_vpod image copy --quiet --all "docker://$REGISTRY/test/list:1" "docker://$REGISTRY/test/list:2"
	run_logged skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/test/list:2"
	assert "$output" =~ arm64
	run_vpod image copy --quiet --arch arm64 "docker://$REGISTRY/test/list:1" "dir:$T/arm"
	run_vpod image inspect --format '{{.Architecture}}' "dir:$T/arm"
	assert "$output" = arm64
	run_vpod push --quiet --all $IMAGE "$REGISTRY/test/single:1"
	run_vpod image inspect --arch arm64 --format '{{.Architecture}}' "docker://$REGISTRY/test/list:1"
	assert "$output" = arm64
}

bad_copy() { # ERROR | ARG...
	run_vpod 125 image copy ${2//REGISTRY/$REGISTRY}
	assert "$stderr" =~ $1
}

@test "vpod image copy: what is wrong is named" {
	each_case bad_copy <<-TABLE
		begin.with.a.transport | busybox dir:/x
		begin.with.a.transport | docker://REGISTRY/test/app:1 /x
		no/such                | oci:/no/such:1 dir:/x
		manifest.unknown       | docker://REGISTRY/test/app:nosuch dir:$T/x
		--all.and.--multi-arch | --all --multi-arch all docker://REGISTRY/test/app:1 dir:/x
		compress               | --dest-compress --dest-decompress docker://REGISTRY/test/app:1 dir:$T/x
	TABLE
}

@test "vpod image inspect: an image on a registry, as skopeo prints it" {
	run_vpod image inspect "docker://$REGISTRY/test/app:1"
	assert "$stderr" = ""
	echo "$output" > "$T/ours"
	skopeo inspect --tls-verify=false "docker://$REGISTRY/test/app:1" > "$T/theirs"
	"$PYTHON" - "$T/ours" "$T/theirs" <<-'PY'
		import json, sys
		ours, theirs = (json.load(open(f)) for f in sys.argv[1:])
		ours.pop("LayersData") # skopeo has it since 1.10
		assert ours == theirs, (ours, theirs)
	PY
	run_vpod image inspect --raw "docker://$REGISTRY/test/app:1"
	assert "sha256:$(vpod image inspect --raw "docker://$REGISTRY/test/app:1" | sha256sum | cut -d ' ' -f 1)" = "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/test/app:1")"
	run_vpod image inspect --config "docker://$REGISTRY/test/app:1"
	assert "$(skopeo inspect --config --tls-verify=false "docker://$REGISTRY/test/app:1")" = "$output"
	run_vpod image inspect --no-tags --format '{{len .RepoTags}}' "docker://$REGISTRY/test/app:1"
	assert "$output" = 0
	run_vpod image inspect --format '{{.Architecture}}' "docker-archive:$VPOD_TEST_IMAGE"
	assert "$output" = amd64
	run_vpod 125 image inspect "docker://$REGISTRY/test/app:nosuch"
	assert "$stderr" =~ "manifest unknown"
	run_vpod 125 image inspect --raw $IMAGE
	assert "$stderr" =~ "outside of the local store"
	run_vpod image inspect --format '{{.Os}}' $IMAGE
	assert "$output" = linux
}

@test "vpod search" {
	run_vpod search "$REGISTRY/"
	assert "${lines[0]}" =~ ^NAME.*DESCRIPTION
	assert "$output" =~ "$REGISTRY/test/app"
	run_vpod search --format '{{.Name}}' "$REGISTRY/app"
	assert "$output" = "$REGISTRY/test/app"
	run_vpod search --list-tags --format json "$REGISTRY/test/app"
	assert "$(echo "$output" | tr -d ' \n' | sed 's/"2","1"/"1","2"/')" = '[{"Name":"'"$REGISTRY"'/test/app","Tags":["1","2"]}]'
	run_vpod search --limit 1 --format '{{.Name}}' "$REGISTRY/"
	assert "${#lines[@]}" -eq 1
	run_vpod 125 search --filter nosuch=1 "$REGISTRY/x"
	assert "$stderr" =~ "nosuch"
	run_vpod 125 search "127.0.0.1:$(free_port)/x"
	assert "$stderr" =~ "is the registry running"
	run_vpod search --cert-dir "$T/certs" --creds me:secret --list-tags --format '{{.Tag}}' "$LOCKED/test/app"
	assert "$output" = 1
}

@test "vpod image sync: a repository to a directory and back, and a list" {
	run_vpod image sync --src docker --dest dir "$REGISTRY/test/app" "$T/usb"
	assert "$stderr" =~ "Copied 2 images"
	run_vpod image sync --quiet --src dir --dest docker "$T/usb" "$REGISTRY/back"
	assert "$stderr" = ""
	run_logged skopeo inspect --tls-verify=false --format '{{.RepoTags}}' "docker://$REGISTRY/back/app:1"
	assert "$(tr -d '[]' <<< "$output" | tr ' ' '\n' | sort | xargs)" = "1 2" "tags"
	printf '%s:\n  images:\n    test/app: ["2"]\n  images-by-tag-regex:\n    back/app: ^1$\n' "$REGISTRY" > "$T/list.yaml"
	run_vpod image sync --src yaml --dest dir --scoped --dry-run "$T/list.yaml" "$T/usb2"
	assert "$stderr" =~ "Would copy docker://$REGISTRY/back/app:1 to dir:$T/usb2/$REGISTRY/back/app:1"
	[ ! -e "$T/usb2" ]
	run_vpod image sync --quiet --src yaml --dest dir --scoped "$T/list.yaml" "$T/usb2"
	run_logged skopeo inspect "dir:$T/usb2/$REGISTRY/test/app:2"
	run_vpod 125 image sync --src docker --dest dir --keep-going "$REGISTRY/test/nosuch" "$T/usb3"
	assert "$stderr" =~ "test/nosuch"
	rm -rf "$T"/usb*
}
