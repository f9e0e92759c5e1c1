#!/usr/bin/env bats
# vpod tag and untag.

load helpers

@test "vpod tag: another name for the same image" {
	run_vpod tag $IMAGE localhost/a:1 b
	for name in localhost/a:1 localhost/b:latest b; do
		run_vpod image exists "$name"
	done
	assert "$(vpod image inspect --format '{{.Id}}' b)" = "$(vpod image inspect --format '{{.Id}}' $IMAGE)"
	run_vpod untag $IMAGE localhost/a:1
	run_vpod 1 image exists localhost/a:1
	run_vpod rmi b
	assert "$(vpod images --noheading | wc -l)" -eq 1 "images"
	# Without names, all of them go.
	run_vpod tag $IMAGE localhost/a:1
	run_vpod untag $IMAGE
	assert "$(vpod images --noheading --format '{{.Repository}}')" = "<none>"
	run_vpod tag "$(vpod images --quiet)" $IMAGE
}

@test "vpod tag: what is wrong is named" {
	run_vpod 125 tag localhost/none:x y
	assert "$stderr" =~ "localhost/none:x"
	run_vpod 125 tag $IMAGE 'UPPER/Case'
	assert "$stderr" =~ "UPPER/Case|lowercase"
	run_vpod 125 untag localhost/none:x
	assert "$stderr" =~ "localhost/none:x"
}
