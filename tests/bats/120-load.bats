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
