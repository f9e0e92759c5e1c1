#!/usr/bin/env bats
# vpod info and version.

load helpers

@test "vpod info: tells about host, machines and storage" {
	run_vpod info
	assert "$output" =~ "host:"
	assert "$output" =~ "store:"
	assert "$output" =~ "graphRoot: $T/d"
	assert "$output" =~ "version:"
}

@test "vpod info --format: JSON and templates" {
	run_vpod info --format json
	"$PYTHON" - "$output" <<-'PY'
		import json, os, sys
		info = json.loads(sys.argv[1])
		assert info["store"]["graphRoot"] == os.environ["T"] + "/d", info["store"]
		assert info["store"]["containerStore"]["number"] == 0, info["store"]
		assert info["store"]["imageStore"]["number"] == 1, info["store"]
		assert info["host"]["cpus"] >= 1
		assert info["host"]["memTotal"] > 0
		assert info["host"]["security"]["rootless"] == (os.getuid() != 0)
	PY
	run_vpod info --format '{{.Host.Arch}}'
	assert "$output" = "amd64"
	run_vpod 125 info --format '{{.Nothing}}'
	assert "$stderr" =~ "Nothing"
}

@test "vpod info: says which accelerator is used, and why not KVM" {
	run_vpod info --format json
	accel=$("$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["vm"]["accel"])' <<< "$output") || true
	assert "$output" =~ '"accel": "(tcg|kvm)"'
	[[ $output =~ '"accel": "kvm"' ]] || assert "$output" =~ '"accelReason": "[^"]+"'
	: "$accel"
}

@test "vpod version --format" {
	run_vpod version --format '{{.Client.Version}}'
	assert "$output" =~ '^[0-9]+\.[0-9]+'
	run_vpod version --format json
	assert "$output" =~ '"GoVersion": "go1'
	assert "$output" =~ '"OsArch": "linux/amd64"'
}
