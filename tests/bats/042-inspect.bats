#!/usr/bin/env bats
# vpod inspect of containers.

load helpers

@test "vpod inspect: the keys of Podman, and VM" {
	run_vpod run --detach --name i -e A=b -w /tmp -u app --hostname host -l k=v -m 256m --cpus 1 --cap-add SYS_TIME --read-only \
		--ulimit nofile=10:20 --restart on-failure:3 --stop-signal USR1 --stop-timeout 3 --tmpfs /x:size=1m --network none \
		--log-opt max-size=1mb --tz UTC --annotation n=1 --machine q35 --kernel-arg quiet $IMAGE sleep 1000
	run_vpod inspect i
	"$PYTHON" - "$output" <<-'PY'
		import json, sys
		(c,) = json.loads(sys.argv[1])
		for key in ["Id", "Created", "Path", "Args", "State", "Image", "ImageName", "ImageDigest", "Name", "RestartCount", "Driver",
		            "Mounts", "NetworkSettings", "Config", "HostConfig", "EffectiveCaps", "BoundingCaps", "VM"]:
		    assert key in c, key
		state = c["State"]
		assert state["Status"] == "running" and state["Running"] and not state["Paused"] and not state["OOMKilled"], state
		assert state["Pid"] > 0 and state["ExitCode"] == 0, state
		config = c["Config"]
		assert config["Hostname"] == "host" and config["User"] == "app" and config["WorkingDir"] == "/tmp", config
		assert "A=b" in config["Env"] and config["Cmd"] == ["sleep", "1000"] and config["Labels"]["k"] == "v", config
		assert config["StopSignal"] == 10 and config["StopTimeout"] == 3 and config["Annotations"]["n"] == "1", config
		host = c["HostConfig"]
		assert host["Memory"] == 256 << 20 and host["NanoCpus"] == 10**9 and host["ReadonlyRootfs"], host
		assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}, host
		assert {"Name": "RLIMIT_NOFILE", "Soft": 10, "Hard": 20} in host["Ulimits"], host
		assert host["CapAdd"] == ["CAP_SYS_TIME"] and host["Tmpfs"] == {"/x": "size=1m"}, host
		assert host["NetworkMode"] == "none" and host["LogConfig"]["Type"] == "k8s-file", host
		vm = c["VM"]
		assert vm["Board"] == "q35" and vm["Accel"] in ("tcg", "kvm") and vm["MemoryBytes"] == 256 << 20, vm
		assert vm["Kernel"] and vm["QEMUPid"] == state["Pid"] and vm["KernelArgs"] == ["quiet"] and "Template" in vm, vm
	PY
	qemu=$(inspect_field i '{{.VM.QEMUPid}}')
	assert "$(tr '\0' ' ' < "/proc/$qemu/cmdline")" =~ "qemu-system" "process $qemu"
	run_vpod exec i uname -r
	assert "$(inspect_field i '{{.VM.Kernel}}')" = "$output"
	run_vpod kill i
	run_vpod wait i
	run_vpod inspect --format '{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.Pid}} {{.VM.QEMUPid}}' i
	assert "$output" = "exited false 137 0 0"
}

@test "vpod inspect --format, --size, --type, several" {
	run_vpod create --name a --network none $IMAGE true
	run_vpod create --name b --network none $IMAGE true
	run_vpod inspect --format '{{.Name}}' a b
	assert "$output" = $'a\nb'
	run_vpod inspect --format '{{json .Config.Cmd}}' a
	assert "$output" = '["true"]'
	run_vpod inspect --format json a
	assert "${lines[0]}" = "["
	run_vpod inspect --size --format '{{.SizeRw}} {{.SizeRootFs}}' a
	assert "$output" =~ '^[0-9]+ [0-9]+$'
	run_vpod container inspect --format '{{.State.Status}}' a
	assert "$output" = created
	run_vpod 125 inspect --type image a
	run_vpod 125 inspect --type container $IMAGE
	run_vpod 125 inspect a nosuch
	assert "$stderr" =~ "nosuch"
	assert "$output" =~ '"Name": "a"' "what was found is shown"
	run_vpod 125 inspect --format '{{.Nothing}}' a
	assert "$stderr" =~ "Nothing"
	run_vpod inspect --latest --format '{{.Name}}'
	assert "$output" = b
	run_vpod container exists a
	run_vpod 1 container exists nosuch
}
