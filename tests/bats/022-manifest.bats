#!/usr/bin/env bats
# vpod manifest: lists of images for several platforms.

load helpers

# Two images, one of them said to be for another platform.
setup_file() {
	file_setup
	start_registry
	echo hello > "$T/hello"
	tar -C "$T" -cf "$T/hello.tar" hello
	vpod import --quiet --arch arm64 "$T/hello.tar" localhost/foreign:1 > /dev/null
	vpod tag $IMAGE localhost/native:1
}

@test "vpod manifest: from create to rm" {
	run_vpod manifest create mylist
	assert "$output" =~ '^[0-9a-f]{64}$'
	id=$output
	run_vpod manifest exists mylist
	run_vpod 125 manifest create mylist
	assert "$stderr" =~ "in use".*--amend
	run_vpod manifest create --amend mylist
	assert "$output" = "$id"
	run_vpod manifest add mylist containers-storage:localhost/native:1
	assert "$output" = "$id"
	run_vpod manifest add --variant v8 --annotation a=b mylist localhost/foreign:1
	run_vpod manifest inspect mylist
	assert "$(platforms)" = "amd64 linux {}|arm64/v8 linux {'a': 'b'}"
	run_vpod manifest annotate --os-version 7 --annotation c=d mylist localhost/foreign:1
	run_vpod manifest inspect mylist
	assert "$(platforms)" = "amd64 linux {}|arm64/v8 linux7 {'a': 'b', 'c': 'd'}"
	ours=$output
	run_logged podman manifest inspect localhost/mylist:latest
	assert "$(platforms)" = "amd64 linux {}|arm64/v8 linux7 {'a': 'b', 'c': 'd'}"
	# The list means the image for the machine where an image is wanted.
	run_vpod run --rm --network none mylist cat /etc/motd
	assert "$output" = "vpod demo image"
	digest=$("$PYTHON" -c 'import json, sys; print(json.loads(sys.argv[1])["manifests"][1]["digest"])' "$ours")
	run_vpod manifest remove mylist "$digest"
	run_vpod 125 manifest remove mylist "$digest"
	assert "$stderr" =~ "no such image"
	run_vpod manifest inspect mylist
	assert "$(platforms)" = "amd64 linux {}"
	run_vpod manifest rm mylist
	assert "$output" = $'Untagged: localhost/mylist:latest\nDeleted: '"$id"
	run_vpod 1 manifest exists mylist
	run_vpod image exists localhost/native:1
}

# platforms prints the images of the list in $output.
platforms() {
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		def line(m):
		    p = m["platform"]
		    arch = p["architecture"] + ("/" + p["variant"] if p.get("variant") else "")
		    return "%s %s%s %s" % (arch, p["os"], p.get("os.version", ""), m.get("annotations") or {})
		print("|".join(line(m) for m in json.loads(sys.argv[1])["manifests"] or []))
	PY
}

@test "vpod rmi, tag and untag: the name of a list means the list" {
	run_vpod manifest create named containers-storage:localhost/native:1
	id=$output
	run_vpod tag named localhost/renamed:2
	run_vpod manifest exists localhost/renamed:2
	run_vpod untag localhost/renamed:2 localhost/renamed:2
	run_vpod 1 manifest exists localhost/renamed:2
	run_vpod rmi named
	assert "$output" =~ "Deleted: $id"
	run_vpod image exists localhost/native:1
}

@test "vpod manifest: lists and images of a registry" {
	run_vpod manifest create remote containers-storage:localhost/native:1 containers-storage:localhost/foreign:1
	run_logged podman manifest push --quiet --all remote "docker://$REGISTRY/remote:1"
	run_vpod manifest inspect "$REGISTRY/remote:1"
	assert "$(platforms)" = "amd64 linux {}|arm64 linux {}"
	run_vpod manifest create one "$REGISTRY/remote:1"
	run_vpod manifest inspect one
	assert "$(platforms)" = "amd64 linux {}" "the machine's"
	run_vpod manifest create --all both "docker://$REGISTRY/remote:1"
	run_vpod manifest inspect both
	assert "$(platforms)" = "amd64 linux {}|arm64 linux {}"
	run_vpod manifest rm one both remote
}

@test "vpod manifest push: a list with its images, or alone" {
	run_vpod manifest create pushed containers-storage:localhost/native:1 containers-storage:localhost/foreign:1
	run_vpod manifest push --quiet --digestfile "$T/digest" pushed "$REGISTRY/pushed:1"
	assert "$output$stderr" = "" "output"
	run_logged skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/pushed:1"
	assert "$(platforms)" = "amd64 linux {}|arm64 linux {}"
	assert "sha256:$(printf %s "$output" | sha256sum | cut -d' ' -f1)" = "$(cat "$T/digest")"
	for arch in amd64 arm64; do
		run_logged skopeo --override-arch "$arch" copy --src-tls-verify=false "docker://$REGISTRY/pushed:1" "dir:$T/copied"
		rm -r "$T/copied"
	done
	run_vpod 125 manifest push --quiet --all=false pushed "$REGISTRY/none:alone"
	assert "$stderr" =~ "unknown" "images the destination lacks"
	run_vpod manifest create --all there "docker://$REGISTRY/pushed:1"
	run_vpod manifest push --quiet --all=false --rm there "$REGISTRY/pushed:alone"
	run_logged skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/pushed:alone"
	assert "$(platforms)" = "amd64 linux {}|arm64 linux {}"
	run_vpod 125 manifest push --quiet $IMAGE "$REGISTRY/pushed:2"
	assert "$stderr" =~ "not a manifest list"
	run_vpod tag pushed "$REGISTRY/pushed:3"
	run_vpod manifest push --rm "$REGISTRY/pushed:3"
	run_vpod 1 manifest exists "$REGISTRY/pushed:3"
	run_vpod manifest push --rm pushed "dir:$T/copied"
	[ -e "$T/copied/manifest.json" ]
	run_vpod 1 manifest exists pushed
	rm -r "$T/copied" "$T/digest"
}

@test "vpod manifest: changes at once all count" {
	run_vpod manifest create shared containers-storage:localhost/native:1
	pids=()
	for i in 1 2 3 4 5 6; do
		vpod manifest annotate --annotation "k$i=v" shared localhost/native:1 > /dev/null 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	run_vpod manifest inspect shared
	assert "$(platforms)" = "amd64 linux {'k1': 'v', 'k2': 'v', 'k3': 'v', 'k4': 'v', 'k5': 'v', 'k6': 'v'}"
	run_vpod manifest rm shared
}

@test "vpod manifest: what is wrong is named, nothing is left" {
	run_vpod 125 manifest create whole containers-storage:localhost/native:1 "$REGISTRY/none:1"
	assert "$stderr" =~ "$REGISTRY/none:1"
	run_vpod 1 manifest exists whole
	run_vpod 125 manifest exists $IMAGE
	assert "$stderr" =~ "not a manifest list"
	run_vpod 125 manifest rm $IMAGE
	run_vpod image exists $IMAGE
	run_vpod 1 manifest rm nosuch
	run_vpod 125 manifest add nosuch $IMAGE
	run_vpod 125 manifest inspect "$REGISTRY/none:1"
	assert "$stderr" =~ "manifest unknown"
	run_vpod 125 manifest annotate --arch arm64 nosuch x
	assert "$stderr" =~ "nosuch: image not known"
	run_vpod 125 manifest add --cert-dir "$T/nosuch" nosuch $IMAGE
	assert "$stderr" =~ "--cert-dir: .*no such file"
}
