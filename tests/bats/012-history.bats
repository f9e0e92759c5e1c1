#!/usr/bin/env bats
# How images were made: vpod history and image tree; and the names and users of
# images that others have made.

load helpers

# An image of three steps on the test image, made with another tool.
setup_file() {
	file_setup
	mkdir "$T/context"
	echo hello > "$T/context/hello"
	printf 'FROM %s\nLABEL a=b\nCOPY hello /hello\nENV X=y\n' $IMAGE > "$T/context/Containerfile"
	buildah bud --layers --quiet --tag localhost/built:1 "$T/context" > /dev/null
}

@test "vpod history: the steps as Podman shows them" {
	run_vpod history localhost/built:1
	assert "${lines[0]}" =~ "^ID +CREATED +CREATED BY +SIZE +COMMENT"
	assert "${#lines[@]}" -eq 5 "lines"
	assert "${lines[1]}" =~ "ENV X=y +0 B"
	assert "${lines[2]}" =~ "^<missing> .*COPY file:.*\.\.\. +[0-9.]+ kB"
	assert "${lines[4]}" =~ "busybox-image"
	for options in "" --no-trunc --quiet "--human=false" "--format {{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}"; do
		run_vpod history $options localhost/built:1
		ours=$output
		run_logged podman history $options localhost/built:1
		assert "$(ageless <<< "$ours")" = "$(ageless <<< "$output")" "history $options"
	done
	run_vpod history --format json localhost/built:1
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		steps = json.loads(sys.argv[1])
		assert len(steps) == 4, steps
		assert steps[0]["CreatedBy"] == "/bin/sh -c #(nop) ENV X=y" and steps[0]["tags"] == ["localhost/built:1"], steps[0]
		assert len(steps[0]["id"]) == 64 and steps[3]["size"] > 1000000, steps
	PY
	run_vpod 125 history localhost/none
	assert "$stderr" =~ "localhost/none"
}

# ageless takes from a table what changes from second to second.
ageless() { sed -E 's/(Less than a second|[0-9]+ seconds?) ago/AGO/; s/ +/ /g'; }

@test "vpod history: an image cannot command the terminal" {
	mkdir "$T/evil"
	tar -C "$T/evil" -xf "$VPOD_TEST_IMAGE"
	"$PYTHON" - "$T/evil" <<-'PY'
		import hashlib, json, sys
		path = sys.argv[1]
		config = json.load(open(path + "/config.json"))
		config["history"] = [{"created": "2024-01-01T00:00:00Z", "created_by": "\x1b[2Jgone\r\nline two\tx", "comment": "\x1b]0;title\x07"}]
		json.dump(config, open(path + "/config.json", "w"))
		manifest = json.load(open(path + "/manifest.json"))
		manifest[0]["RepoTags"] = ["localhost/evil:1"]
		json.dump(manifest, open(path + "/manifest.json", "w"))
	PY
	tar -C "$T/evil" -cf "$T/evil.tar" .
	run_vpod load --input "$T/evil.tar"
	run_vpod history --no-trunc localhost/evil:1
	assert "${#lines[@]}" -eq 2 "lines"
	assert "$output" !~ $'\x1b'
	assert "$output" =~ "line two x"
	run_vpod rmi localhost/evil:1
	rm -r "$T/evil" "$T/evil.tar"
}

@test "vpod image tree" {
	run_vpod image tree localhost/built:1
	ours=$output
	assert "$output" =~ "Top Layer of: \[localhost/built:1\]"
	run_logged podman image tree localhost/built:1
	assert "$ours" = "$output"
	run_vpod image tree --whatrequires $IMAGE
	assert "$output" =~ "localhost/built:1"
	run_vpod 125 image tree localhost/none
}

@test "vpod images: intermediate images, old names, the rest of the filters" {
	assert "$(vpod images --quiet | wc -l)" -eq 2 "images"
	assert "$(vpod images --quiet --all | wc -l)" -eq 4 "images with intermediate ones"
	assert "$(vpod images --quiet --all --filter intermediate=true | wc -l)" -eq 2 "intermediate ones"
	run_vpod tag localhost/built:1 localhost/old:name
	run_vpod untag localhost/built:1 localhost/old:name
	run_vpod images --history --noheading built
	assert "$output" =~ "localhost/built +1 .*localhost/old:name"
	run_vpod images --format '{{.History}}' built
	assert "$output" =~ "localhost/old:name"
	digest=$(vpod image inspect --format '{{.Digest}}' localhost/built:1)
	each_case shows <<-TABLE
		before=localhost/built:1           | localhost/busybox:test
		since=$IMAGE                       | localhost/built:1
		after=$IMAGE                       | localhost/built:1
		until=2025-01-01T00:00:00Z         | localhost/busybox:test
		reference=localhost/built          | localhost/built:1
		reference!=*built*                 | localhost/busybox:test
		label=a=b                          | localhost/built:1
		label!=a                           | localhost/busybox:test
		digest=${digest:0:30}              | localhost/built:1
		readonly=true                      | ''
		manifest=true                      | ''
		containers=true                    | ''
		containers=false                   | localhost/built:1 localhost/busybox:test
	TABLE
	run_vpod 125 images --filter containers=maybe
	assert "$stderr" =~ "maybe"
	run_vpod 125 images --filter before=localhost/none
}

shows() { # FILTER | NAMES
	run_vpod images --noheading --sort repository --format '{{.Repository}}:{{.Tag}}' --filter "$1"
	assert "$(echo $output)" = "$2" "images --filter $1"
}

@test "vpod images: who uses an image, by whatever tool" {
	run_vpod create --name holder --network none $IMAGE true
	buildah from localhost/built:1 > /dev/null
	each_case shows <<-'TABLE'
		containers=true      | localhost/built:1 localhost/busybox:test
		containers=external  | localhost/built:1
		containers=false     | ''
		containers!=external | localhost/busybox:test
	TABLE
	run_vpod images --format '{{.Repository}} {{.Containers}}' --sort repository
	assert "$output" = $'localhost/built 1\nlocalhost/busybox 1'
	run_vpod rm holder
	# Builds hold their images until --external says that they do not count.
	run_vpod image prune --all --force --filter label=a=b
	run_vpod image exists localhost/built:1
	run_logged podman create --network none --name held localhost/built:1 true
	run_vpod image prune --all --force --external --filter label=a=b
	run_vpod image exists localhost/built:1
	assert "$(buildah containers --quiet | wc -l)" -eq 1 "working containers of an image that Podman uses"
	run_logged podman rm held
	run_vpod image prune --all --force --external --filter label=a=b
	assert "$output" =~ '^[0-9a-f]{64}'
	run_vpod 1 image exists localhost/built:1
	assert "$(buildah containers --quiet)" = "" "working containers"
}
