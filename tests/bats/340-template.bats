#!/usr/bin/env bats
# Machine templates: made once, used by every start that can, never half-made,
# never trusted when damaged.

load helpers

teardown() {
	! mountpoint -q "$T/small" || umount "$T/small"
	test_teardown
}

# The templates of this file are its own, so that it sees them made.
setup_file() {
	file_setup
	mkdir -p "$T/cache/vpod"
	cp "$XDG_CACHE_HOME/vpod/host.json" "$T/cache/vpod/" 2>/dev/null || true # KVM is not probed anew
	export XDG_CACHE_HOME=$T/cache
	TEMPLATES=$T/cache/vpod/templates
	export TEMPLATES
}

# count_lines TEXT PATTERN prints how many lines of TEXT match.
count_lines() { grep -cE -e "$2" <<< "$1" || true; }

# templates prints how many there are.
templates() { vpod system template ls --quiet | wc -l; }

# template_of NAME prints the key of the template that a running container came from.
template_of() { inspect_field "$1" '{{.VM.Template}}'; }

# no_draft fails if anything half-made lies about.
no_draft() {
	local left
	left=$(find "$TEMPLATES" -mindepth 1 \( -name '*.tmp*' -o -name '.*' \) 2>/dev/null)
	assert "$left" = "" "half-made templates"
}

# running ARG...: start a container that stays.
running() { run_vpod run --detach --network none "$@" $IMAGE sleep 1000; }

# prepared fails unless the last command has made a template; unprepared if it has.
prepared() { assert "$(count_lines "$stderr" '^preparing the machine template, once$')" -eq 1 "lines that a template is prepared"; }
unprepared() { assert "$(count_lines "$stderr" 'template')" -eq 0 "lines about templates"; }

@test "the first run prepares a template and says so, the second starts from it" {
	run_vpod run --rm --network none $IMAGE echo one
	assert "$output" = one
	prepared
	run_vpod run --rm --network none $IMAGE echo two
	assert "$output" = two
	unprepared
	assert "$(templates)" -eq 1 "templates"
	no_draft
}

@test "inspect says which template; --template never boots" {
	running --name t
	unprepared
	key=$(template_of t)
	assert "$key" = "$(vpod system template ls --quiet)"
	pid=$(inspect_field t '{{.VM.QEMUPid}}')
	assert "$(tr '\0' ' ' < "/proc/$pid/cmdline")" =~ "-incoming" "QEMU's arguments"
	running --name n --template never
	assert "$(template_of n)" = ""
	pid=$(inspect_field n '{{.VM.QEMUPid}}')
	assert "$(tr '\0' ' ' < "/proc/$pid/cmdline")" !~ "-incoming" "QEMU's arguments"
	run_vpod exec n echo booted
	assert "$output" = booted
	# What is stored is the choice: a restart keeps to it.
	run_vpod stop --time 0 t n
	run_vpod start t n
	assert "$(template_of t)" = "$key"
	assert "$(template_of n)" = ""
	run_vpod 125 run --rm --template perhaps $IMAGE true
	assert "$stderr" =~ "auto, never, always"
}

@test "--template always fails with the reason where there can be none" {
	run_vpod 125 run --rm --network none --rootfs-mode virtiofs --template always $IMAGE true
	assert "$stderr" =~ "--template always"
	assert "$stderr" =~ "virtiofs"
	run_vpod ps --all --quiet
	assert "$output" = ""
	# A 9p share is saved while it is not mounted.
	running --name v --rootfs-mode 9p --template always
	assert "$(template_of v)" =~ "^[0-9a-f]{16}$"
	assert "$(vpod exec v sh -c 'echo written > /new; cat /new; awk "\$2 == \"/\" {print \$3}" /proc/mounts')" = $'written\n9p'
	run_vpod run --rm --network none --template always $IMAGE echo from a template
	assert "$output" = "from a template"
}

@test "two first runs at once make one template" {
	before=$(templates)
	for n in 1 2; do
		"$VPOD" --root "$T/d" --runroot "$T/r" run --rm --network none --kernel-arg vpodtest=twice $IMAGE echo "run $n" > "$T/twice.$n" 2> "$T/twice.$n.err" 3>&- &
		pids[n]=$!
	done
	for n in 1 2; do
		wait "${pids[n]}"
		assert "$(cat "$T/twice.$n")" = "run $n"
	done
	stderr=$(cat "$T"/twice.?.err)
	echo "$stderr"
	prepared
	assert "$(count_lines "$stderr" 'boot')" -eq 0 "machines that had to boot"
	assert "$(templates)" -eq "$((before + 1))" "templates"
	no_draft
}

@test "SIGKILL of the command while it prepares one: the next makes it" {
	for delay in 0 0.5 2; do
		before=$(templates)
		start_vpod run --rm --network none --kernel-arg "vpodtest=killed$delay" $IMAGE true
		draft() { [ -n "$(find "$TEMPLATES" -maxdepth 1 -name '*.tmp' 2>/dev/null)" ]; }
		wait_until 60 draft
		sleep "$delay"
		kill -KILL "$started"
		wait "$started" 2>/dev/null || true
		no_process() { [ -z "$(machine_processes "$T")" ]; }
		wait_until 10 no_process
		assert "$(templates)" -eq "$before" "templates"
		run_vpod run --rm --network none --kernel-arg "vpodtest=killed$delay" $IMAGE echo "made"
		assert "$output" = made
		prepared
		assert "$(templates)" -eq "$((before + 1))" "templates"
		no_draft
	done
}

@test "SIGTERM of a command that prepares one leaves nothing" {
	before=$(templates)
	draft() { [ -n "$(find "$TEMPLATES" -maxdepth 1 -name '*.tmp' 2>/dev/null)" ]; }
	start_vpod system template build --network none --kernel-arg vpodtest=interrupted
	wait_until 60 draft
	sleep 1
	kill -TERM "$started"
	ended 143
	no_draft
	start_vpod run --detach --name interrupted --network none --kernel-arg vpodtest=interrupted $IMAGE true
	wait_until 60 draft
	sleep 1
	kill -TERM "$started"
	ended 143
	no_draft
	assert "$(templates)" -eq "$before" "templates"
	run_vpod rm interrupted
}

# full SIZE | MEMORY: a file system of that size is too small for such a template.
full() {
	mount -t tmpfs -o "size=$1" none "$T/small"
	mkdir "$T/small/vpod"
	cp "$T/cache/vpod/host.json" "$T/small/vpod/"
	XDG_CACHE_HOME=$T/small run_vpod run --rm --network none -m "$2" $IMAGE echo works
	assert "$output" = works
	assert "$stderr" =~ "no machine template could be made, machines boot instead: no space left on device"
	XDG_CACHE_HOME=$T/small run_vpod 125 run --rm --network none -m "$2" --template always $IMAGE true
	assert "$stderr" =~ "--template always"
	assert "$stderr" =~ "no space left on device"
	assert "$(find "$T/small/vpod/templates" -mindepth 1 -type d)" = "" "half-made templates"
	XDG_CACHE_HOME=$T/small run_vpod system template ls --quiet
	assert "$output" = ""
	umount "$T/small"
}

@test "a full disk: machines boot, and why is said" {
	skip_if_rootless "a small file system is mounted"
	mkdir -p "$T/small"
	# From the outset, and once it is written.
	each_case full <<-'TABLE'
		24m | 512m
		66m | 4g
	TABLE
	rmdir "$T/small"
}

# flip FILE OFFSET changes one bit.
flip() {
	"$PYTHON" - "$@" <<-'PY'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    byte = f.read(1)[0]
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([byte ^ 1]))
	PY
}

damage_ram() { flip "$1/ram" $((1 << 20)); }
damage_state() { truncate -s 1000 "$1/state"; }
damage_description() { truncate -s 10 "$1/template.json"; }

@test "a damaged template is made anew" {
	for what in ram state description; do
		key=$(vpod run --rm --network none -m 128m $IMAGE true && vpod system template ls --format '{{.Memory}} {{.Key}}' | sed -n 's/^128m //p')
		"damage_$what" "$TEMPLATES/$key"
		run_vpod run --rm --network none -m 128m $IMAGE echo fine
		assert "$output" = fine
		assert "$stderr" =~ "damaged"
		prepared
		run_vpod run --rm --network none -m 128m $IMAGE echo again
		unprepared
	done
	no_draft
}

@test "a template that does not load is dropped, and the machine boots" {
	run_vpod run --rm --network none -m 144m $IMAGE true
	key=$(vpod system template ls --format '{{.Memory}} {{.Key}}' | sed -n 's/^144m //p')
	# Whole by its digest, and no state of a machine.
	"$PYTHON" - "$TEMPLATES/$key" <<-'PY'
		import hashlib, json, sys
		dir = sys.argv[1]
		content = b"no such machine" * 1000
		with open(dir + "/state", "wb") as f:
		    f.write(content)
		sum = hashlib.sha256()
		for at in range(0, len(content), 4096):
		    sum.update(at.to_bytes(8, "big") + content[at:at + 4096])
		with open(dir + "/template.json") as f:
		    info = json.load(f)
		info["state"] = {"sha256": sum.hexdigest(), "size": len(content), "data": len(content)}
		with open(dir + "/template.json", "w") as f:
		    json.dump(info, f)
	PY
	running --name boots -m 144m
	assert "$stderr" =~ "did not start from its template and boots instead"
	assert "$(template_of boots)" = ""
	run_vpod exec boots echo up
	assert "$output" = up
	run_vpod run --rm --network none -m 144m $IMAGE true
	prepared
	run_vpod run --rm --network none -m 144m $IMAGE true
	unprepared
}

@test "removing templates does machines that run from them no harm" {
	running --name runs
	run_vpod system template rm --all
	assert "$output" =~ '[0-9a-f]{16}'
	assert "$(templates)" -eq 0
	run_vpod exec runs sh -c 'head -c 30000000 /dev/urandom | md5sum | wc -c; cat /etc/motd'
	assert "$output" = $'36\nvpod demo image'
	run_vpod stop --time 0 runs
	run_vpod start runs
	prepared
	run_vpod exec runs echo again
	assert "$output" = again
}

# machine OPTIONS | SCRIPT | OUTPUT [ | IMAGE]: a machine that needs a template of its own.
machine() {
	local before
	before=$(templates)
	for _ in first second; do
		run_vpod run --rm --network none $1 --template always "${4:-$IMAGE}" sh -c "$2"
		assert "$output" =~ $3
	done
	unprepared
	assert "$(templates)" -eq "$((before + 1))" "templates"
}

@test "memory, processors, board, kernel arguments and a read-only root have templates of their own" {
	run_vpod run --rm --network none $IMAGE true
	# An image that declares no volume: a container of it that is read-only needs no writable disk.
	printf 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENV PATH=/bin\n' > "$T/tmp/Containerfile"
	cp "$(command -v busybox)" "$T/tmp/busybox"
	run_logged buildah build --quiet --file "$T/tmp/Containerfile" --tag localhost/plain:1 "$T/tmp"
	rm "$T/tmp/Containerfile" "$T/tmp/busybox"
	each_case machine <<-'TABLE'
		-m 256m                    | free -m           | Mem:[[:space:]]+2[0-9][0-9][[:space:]]
		-m 1g                      | free -m           | Mem:[[:space:]]+9[0-9][0-9][[:space:]]
		--kernel-arg vpodtest=1    | cat /proc/cmdline | vpodtest=1
		--machine microvm          | set -- /sys/bus/pci/devices/0*; test -e $1 && echo pci; echo board | ^board$
		--read-only                | busybox touch /x 2>&1; echo x > /tmp/x; busybox cat /tmp/x | Read-only.*x | localhost/plain:1
	TABLE
	if [ "$(nproc)" -ge 2 ]; then
		machine "--cpus 2" "nproc; grep -c ^processor /proc/cpuinfo" $'2\n2'
		# A share of them is a bound inside.
		run_vpod run --rm --network none --cpus 1.5 $IMAGE sh -c 'nproc; cat /sys/fs/cgroup/cpu.max'
		assert "$output" = $'2\n150000 100000'
		unprepared
	fi
}

# fetch PORT prints what the server says.
fetch() { "$PYTHON" -c 'import sys, urllib.request as r; print(r.urlopen("http://127.0.0.1:" + sys.argv[1] + "/motd", timeout=10).read().decode(), end="")' "$1"; }

@test "the default network from a template: published ports, the way out, an address of its own" {
	port=$(free_port)
	run_vpod run --detach --name web -p "127.0.0.1:$port:80" $IMAGE httpd -f -h /etc
	assert "$(template_of web)" =~ '^[0-9a-f]{16}$'
	answered() { [ "$(fetch "$port" 2>/dev/null)" = "vpod demo image" ]; }
	wait_until 20 answered
	run_vpod exec web sh -c 'ip -4 -o addr show scope global | wc -l; cat /sys/class/net/eth0/address; ip -4 route show default'
	assert "${lines[0]}" = 1
	first=${lines[1]}
	assert "$first" != "52:54:00:00:00:01" "the template's address"
	assert "${lines[2]}" =~ "via 10.0.2.2"
	run_vpod run --rm $IMAGE cat /sys/class/net/eth0/address
	unprepared
	assert "$output" != "$first"
	answered
}

@test "vpod system template build, ls, rm, and system prune" {
	run_vpod system template rm --all
	run_vpod system template ls
	assert "${#lines[@]}" -eq 1
	assert "$output" =~ ^KEY\ +MADE\ +USED\ +BOARD\ +ACCEL\ +MEMORY\ +CPUS\ +NETWORK\ +DISK
	run_vpod system template build
	assert "${#lines[@]}" -eq 2 "keys"
	user=${lines[0]} none=${lines[1]}
	assert "$user" != "$none"
	run_vpod system template build --network none
	assert "$output" = "$none"
	unprepared
	running --name a
	unprepared
	assert "$(template_of a)" = "$none"
	run_vpod run --detach --name b $IMAGE sleep 1000
	unprepared
	assert "$(template_of b)" = "$user"
	run_vpod system template ls --noheading
	assert "${#lines[@]}" -eq 2
	run_vpod system template ls --format '{{.Key}} {{.Board}} {{.Memory}} {{.CPUs}} {{.Network}} {{.ReadOnly}}'
	assert "$output" = "$user q35 512m 1 user false"$'\n'"$none q35 512m 1 none false"
	run_vpod system template ls --format json
	"$PYTHON" -c '
import json, os, sys
for t in json.loads(sys.argv[1]):
    assert t["MemoryBytes"] == 512 << 20 and 10 << 20 < t["DiskBytes"] < 100 << 20, t
    assert os.path.isdir(t["Dir"]) and t["QEMU"] and t["Kernel"], t' "$output"
	run_vpod 1 system template rm nosuch
	assert "$stderr" =~ "no such template"
	run_vpod 125 system template rm
	run_vpod 125 system template build -m 4m
	assert "$stderr" =~ "least that works"
	run_vpod system template rm "${none:0:12}"
	assert "$output" = "${none:0:12}"
	assert "$(vpod system template ls -q)" = "$user"

	run_vpod stop --time 0 a
	run_vpod 125 system prune < /dev/null
	assert "$stderr" =~ "all machine templates"
	run_vpod system prune --filter until=1h --force
	assert "$output" = "Total reclaimed space: 0B"
	id=$(inspect_field a '{{.Id}}')
	run_vpod system prune <<< y
	assert "$output" =~ "Deleted Containers"$'\n'"$id"
	assert "$output" =~ "Deleted Machine Templates"$'\n'"$user"
	assert "${lines[-1]}" =~ ^Total\ reclaimed\ space:\ [0-9.]+MB$
	assert "$(find "$TEMPLATES" -mindepth 1)" = "" "left of templates"
	run_vpod exec b echo still
	assert "$output" = still
	run_vpod images --quiet
	assert "$output" != "" "the image, which has a name"
}

@test "system prune: disks of images that another tool has removed" {
	run_vpod tag $IMAGE localhost/second:1
	printf 'FROM %s\nENV second=1\n' $IMAGE > "$T/tmp/Containerfile"
	run_logged buildah build --quiet --file "$T/tmp/Containerfile" --tag localhost/built:1 "$T/tmp"
	rm "$T/tmp/Containerfile"
	run_vpod run --rm --network none localhost/built:1 true
	id=$(vpod image inspect --format '{{.Id}}' localhost/built:1)
	[ -e "$T/d/vpod/images/$id.erofs" ]
	run_logged buildah rmi localhost/built:1
	run_vpod system prune --force
	assert "$output" =~ "Deleted Image Disks"$'\n'"$id"
	[ ! -e "$T/d/vpod/images/$id.erofs" ]
	run_vpod untag localhost/second:1 localhost/second:1
	run_vpod run --rm --network none $IMAGE echo "its disk is there"
	assert "$output" = "its disk is there"
}
