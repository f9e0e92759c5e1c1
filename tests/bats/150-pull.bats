#!/usr/bin/env bats
# vpod pull, from a registry of Debian's on 127.0.0.1 and from every transport.

load helpers

setup_file() {
	file_setup
	start_registry
	skopeo copy --quiet --dest-tls-verify=false "docker-archive:$VPOD_TEST_IMAGE" "docker://$REGISTRY/test/busybox:1"
	skopeo copy --quiet "docker-archive:$VPOD_TEST_IMAGE" "oci:$T/layout:tagged"
	skopeo copy --quiet "docker-archive:$VPOD_TEST_IMAGE" "dir:$T/plain"
	vpod rmi $IMAGE
}

teardown() {
	test_teardown
	vpod rmi --all --force > /dev/null
}

@test "vpod pull: from a registry, by tag and by digest" {
	run_vpod pull "$REGISTRY/test/busybox:1"
	assert "$output" =~ '^[0-9a-f]{64}$' "standard output is the id"
	assert "$stderr" =~ "Copying blob"
	assert "$stderr" !~ $'\r' "plain lines when it is no terminal"
	id=$output
	run_vpod images --format '{{.Repository}}:{{.Tag}}'
	assert "$output" = "$REGISTRY/test/busybox:1"
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/test/busybox:1")
	run_vpod pull --quiet "docker://$REGISTRY/test/busybox@$digest"
	assert "$output" = "$id"
	assert "$stderr" = ""
	run_vpod run --rm --network none "$REGISTRY/test/busybox:1" cat /etc/motd
	assert "$output" = "vpod demo image"
	run_vpod image pull --quiet "$REGISTRY/test/busybox:1"
}

@test "vpod pull: progress on a terminal" {
	on_terminal -- pull "$REGISTRY/test/busybox:1"
	assert "$output" =~ "Copying blob [0-9a-f]{12}"
}

@test "vpod run: fetches a missing image, --pull says otherwise" {
	run_vpod run --rm --network none "$REGISTRY/test/busybox:1" echo first
	assert "$output" = first
	stop_registry
	run_vpod run --rm --network none "$REGISTRY/test/busybox:1" echo again
	assert "$output" = again
	run_vpod 125 run --rm --pull always --network none "$REGISTRY/test/busybox:1" true
	assert "$stderr" =~ "$REGISTRY"
	start_registry
}

transport() { # SOURCE
	run_vpod pull --quiet "${1//DIR/$T}"
	assert "$output" =~ '^[0-9a-f]{64}$'
	run_vpod run --rm --network none "$output" cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "vpod pull: every transport" {
	cp "$VPOD_TEST_IMAGE" "$T/archive.tar"
	each_case transport <<-'TABLE'
		oci:DIR/layout:tagged
		docker-archive:DIR/archive.tar
		dir:DIR/plain
	TABLE
	id=$output
	run_vpod images --quiet --no-trunc
	run_vpod pull --quiet "containers-storage:$IMAGE"
	assert "$output" =~ '^[0-9a-f]{64}$'
}

@test "vpod pull: short names follow registries.conf" {
	printf 'unqualified-search-registries = ["%s"]\nshort-name-mode = "disabled"\n[[registry]]\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" "$REGISTRY" > "$T/conf/short.conf"
	CONTAINERS_REGISTRIES_CONF=$T/conf/short.conf run_vpod pull --quiet test/busybox:1
	run_vpod image exists "$REGISTRY/test/busybox:1"
	run_vpod 125 pull nosuchname
	assert "$stderr" =~ "nosuchname"
}

fails() { # SOURCE | ERROR NAMES
	run_vpod 125 pull "${1//REGISTRY/$REGISTRY}"
	assert "$stderr" =~ "${2//REGISTRY/$REGISTRY}"
	assert "$output" = "" "standard output"
}

@test "vpod pull: what is wrong is named" {
	export closed
	closed=$(free_port)
	each_case fails <<-TABLE
		REGISTRY/test/nosuch:1        | test/nosuch
		REGISTRY/test/busybox:nosuch  | nosuch
		127.0.0.1:$closed/x:1         | refused
		no.such.host.invalid/x        | no.such.host.invalid
		oci:/no/such/layout           | /no/such/layout
		docker-archive:/no/such.tar   | /no/such.tar
		nosuchtransport:x:y:z         | nosuchtransport
		'UPPER/case'                  | UPPER
	TABLE
	run_vpod images --quiet
	assert "$output" = ""
}

@test "vpod pull --platform: an image of another one is told, as Podman does" {
	run_vpod pull --quiet --platform linux/arm64 "$REGISTRY/test/busybox:1"
	assert "$stderr" =~ "linux/amd64.* does not match .*linux/arm64"
}

@test "vpod pull: policy.json is obeyed" {
	mkdir "$T/strict"
	printf '{"default":[{"type":"reject"}]}\n' > "$T/strict/policy.json"
	mv "$HOME/.config/containers/policy.json" "$T/strict/saved"
	cp "$T/strict/policy.json" "$HOME/.config/containers/policy.json"
	status=0
	run_vpod "?" pull "$REGISTRY/test/busybox:1"
	mv "$T/strict/saved" "$HOME/.config/containers/policy.json"
	assert "$status" -eq 125
	assert "$stderr" =~ "reject"
	run_vpod images --quiet
	assert "$output" = ""
}

@test "vpod pull: interrupted, it leaves nothing half done" {
	for _ in 1 2 3; do
		start_vpod pull "$REGISTRY/test/busybox:1"
		sleep 0.0$((RANDOM % 9))
		kill -KILL "$started"
		wait "$started" 2>/dev/null || true
	done
	run_vpod pull --quiet "$REGISTRY/test/busybox:1"
	run_vpod run --rm --network none "$REGISTRY/test/busybox:1" cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "vpod pull: four at once" {
	for n in 1 2 3 4; do
		vpod pull --quiet "$REGISTRY/test/busybox:1" > "$T/pull$n" 2>&1 3>&- &
		pids[n]=$!
	done
	for n in 1 2 3 4; do
		wait "${pids[$n]}" || die "$(cat "$T/pull$n")"
	done
	run_vpod images --noheading
	assert "${#lines[@]}" -eq 1
	rm "$T"/pull?
}
