#!/usr/bin/env bats
# vpod load and save.

load helpers

@test "vpod save and load: every format" {
	for format in docker-archive oci-archive oci-dir docker-dir; do
		rm -rf "$T/saved"
		run_vpod save --format "$format" --output "$T/saved" $IMAGE
		assert "$output" = "" "standard output"
		run_vpod rmi $IMAGE
		run_vpod load --input "$T/saved"
		assert "$output" =~ "Loaded image"
		# OCI's configuration is another file, so the image has another id; the name
		# of an image in a plain directory is the directory's.
		id=$(vpod images --quiet)
		[ "$(wc -l <<< "$id")" -eq 1 ] || die "images after $format: $id"
		run_vpod image inspect --format '{{index .Config.Labels "org.example.image"}}' "$id"
		assert "$output" = busybox "image after $format"
		run_vpod tag "$id" $IMAGE
		vpod untag $IMAGE "localhost$T/saved" 2>/dev/null || true
	done
	rm -rf "$T/saved"
	run_vpod run --rm --network none $IMAGE echo works
	assert "$output" = works
}

@test "vpod save and load: through pipes" {
	vpod save $IMAGE > "$T/piped.tar"
	run_vpod rmi $IMAGE
	run_vpod load < "$T/piped.tar"
	assert "$output" =~ "Loaded image.*$IMAGE"
	run_vpod image exists $IMAGE
	# Others read it, too.
	run_logged skopeo inspect --config "docker-archive:$T/piped.tar"
	assert "$output" =~ "FROM_IMAGE=yes"
	gzip "$T/piped.tar"
	run_vpod load --quiet --input "$T/piped.tar.gz"
	rm "$T/piped.tar.gz"
}

@test "vpod save: several images in one archive" {
	run_vpod tag $IMAGE localhost/second:2
	run_vpod save --multi-image-archive --output "$T/multi.tar" $IMAGE localhost/second:2
	run_vpod rmi --all --force
	run_vpod load --input "$T/multi.tar"
	run_vpod image exists localhost/second:2
	run_vpod image exists $IMAGE
	run_vpod rmi localhost/second:2
	rm "$T/multi.tar"
}

@test "vpod save: what is wrong is named, nothing is left" {
	run_vpod 125 save --output "$T/none.tar" localhost/none
	assert "$stderr" =~ "localhost/none"
	[ ! -e "$T/none.tar" ]
	run_vpod 125 save --format nosuch $IMAGE
	assert "$stderr" =~ 'nosuch'
	run_vpod 125 save --output /no/such/dir/x $IMAGE
	assert "$stderr" =~ "/no/such/dir"
	on_terminal --exit 125 -- save $IMAGE
	assert "$output" =~ "terminal"
}

@test "vpod load: what is wrong is named" {
	run_vpod 125 load --input /no/such/file
	assert "$stderr" =~ "/no/such/file"
	run_vpod 125 load --input /etc/passwd
	assert "$stderr" =~ "/etc/passwd"
	run_vpod 125 load < /dev/null
	head -c 700000 "$VPOD_TEST_IMAGE" > "$T/cut.tar"
	run_vpod 125 load --input "$T/cut.tar"
	assert "$stderr" =~ "cut.tar"
	rm "$T/cut.tar"
}

@test "vpod save and load: what other tools write and read" {
	for format in docker-archive oci-archive docker-dir; do
		rm -rf "$T/saved"
		run_vpod save --quiet --format "$format" --output "$T/saved" $IMAGE
		transport=$format
		[ "$format" != docker-dir ] || transport=dir
		run_logged skopeo copy "$transport:$T/saved" "dir:$T/copied"
		# Podman reads vpod's, vpod Podman's.
		run_logged podman load --quiet --input "$T/saved"
		rm -rf "$T/saved" "$T/copied"
		run_logged podman save --quiet --format "$format" --output "$T/saved" $IMAGE
		run_vpod rmi --all --force
		run_vpod load --quiet --input "$T/saved"
		id=$(vpod images --quiet)
		assert "$(wc -l <<< "$id")" -eq 1 "images after $format"
		run_vpod image inspect --format '{{index .Config.Labels "org.example.image"}}' "$id"
		assert "$output" = busybox
		run_vpod rmi --all --force
		run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
	done
	rm -rf "$T/saved"
	# Several images in one archive.
	run_vpod tag $IMAGE localhost/second:2
	run_logged podman save --quiet --multi-image-archive --output "$T/multi.tar" $IMAGE localhost/second:2
	run_vpod rmi --all --force
	run_vpod load --input "$T/multi.tar"
	run_vpod image exists localhost/second:2
	run_vpod rmi localhost/second:2
	rm "$T/multi.tar"
}

@test "vpod save: compressed layers or not" {
	each_case layers_are <<-'TABLE'
		oci-dir    |                | gzip
		oci-dir    | --uncompressed | tar
		docker-dir |                | tar
		docker-dir | --compress     | gzip
	TABLE
	run_vpod 125 save --uncompressed --output "$T/x.tar" $IMAGE
	assert "$stderr" =~ "--uncompressed needs"
	run_vpod 125 save --compress --output "$T/x.tar" $IMAGE
	assert "$stderr" =~ "--compress needs"
	[ ! -e "$T/x.tar" ]
}

layers_are() { # FORMAT | OPTIONS | KIND
	run_vpod save --quiet --format "$1" $2 --output "$T/saved" $IMAGE
	layer=$(find "$T/saved" -type f -size +100k)
	case $3 in
	gzip) gzip --test < "$layer" ;;
	tar) tar -tf "$layer" > /dev/null ;;
	esac
	[ "$3" = gzip ] || ! gzip --test < "$layer" 2> /dev/null
	rm -r "$T/saved"
}

@test "vpod load: compressed in every way" {
	for tool in gzip bzip2 xz zstd; do
		command -v "$tool" > /dev/null || continue
		"$tool" < "$VPOD_TEST_IMAGE" > "$T/packed"
		run_vpod rmi --all --force
		run_vpod load --input "$T/packed"
		assert "$output" = "Loaded image: $IMAGE"
		run_vpod rmi --all --force
		vpod load --quiet < "$T/packed"
		run_vpod image exists $IMAGE
	done
	rm "$T/packed"
}
