#!/usr/bin/env bats
# vpod run: the machine a container gets.

load helpers

# has_line LINE: the output has it.
has_line() { printf '%s\n' "$output" | grep -qxF -e "$1" || die "no line $(printf %q "$1")"; }

@test "vpod run --memory: the guest sees it" {
	for size in 128 1024; do
		run_vpod run --rm --network none -m "${size}m" $IMAGE awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo
		assert "$output" -le "$size" "memory of the guest"
		assert "$output" -ge "$((size * 85 / 100 - 16))" "memory of the guest"
	done
}

@test "vpod run --memory: too little is refused, the least that works is said and works" {
	run_vpod 125 run --rm --network none -m 4m $IMAGE true
	assert "$stderr" =~ "least that works is ([0-9]+)m"
	least=${BASH_REMATCH[1]}
	[[ $stderr =~ least\ that\ works\ is\ ([0-9]+)m ]]
	least=${BASH_REMATCH[1]}
	run_vpod run --rm --network none -m "${least}m" $IMAGE echo fits
	assert "$output" = fits
	run_vpod ps --all --quiet
	assert "$output" = ""
}

@test "vpod run --cpus" {
	[ "$(nproc)" -ge 2 ] || skip "needs two processors"
	run_vpod run --rm --network none --cpus 2 $IMAGE nproc
	assert "$output" = 2
	run_vpod run --rm --network none --cpus 1.5 $IMAGE sh -c 'nproc; cat /sys/fs/cgroup/cpu.max'
	assert "$output" = $'2\n150000 100000'
}

@test "vpod run --machine microvm" {
	run_vpod run --name micro --network none --machine microvm $IMAGE sh -c 'echo up; ls /sys/bus/pci/devices 2>/dev/null | wc -l'
	assert "$output" = $'up\n0'
	assert "$(inspect_field micro '{{.VM.Board}}')" = microvm
	run_vpod run --rm --network none $IMAGE sh -c 'ls /sys/bus/pci/devices | wc -l'
	assert "$output" -gt 3 "PCI devices of q35"
}

@test "vpod run --accel: kvm where it works, else a reason" {
	run_vpod run --rm --network none --accel tcg $IMAGE echo emulated
	assert "$output" = emulated
	run_vpod "?" run --rm --network none --accel kvm $IMAGE echo accelerated
	if [ "$status" -eq 0 ]; then
		assert "$output" = accelerated
		return
	fi
	assert "$status" -eq 125
	assert "$stderr" =~ "/dev/kvm"
	assert "$stderr" =~ "tcg|auto" "what to do"
	run_vpod ps --all --quiet
	assert "$output" = ""
}

@test "vpod run --kernel-arg, --kernel" {
	run_vpod run --rm --network none --kernel-arg vpodtest=1 --kernel-arg "a.b=c d" $IMAGE cat /proc/cmdline
	assert "$output" =~ " vpodtest=1 a.b=c d"
	cp "$(dirname "$VPOD")/vmlinux" "$T/tmp/kernel"
	run_vpod run --rm --name k --network none --kernel "$T/tmp/kernel" $IMAGE uname -s
	assert "$output" = Linux
	rm "$T/tmp/kernel"
}

@test "vpod run --storage-opt size: the writable layer ends there" {
	run_vpod run --rm --network none --storage-opt size=64m $IMAGE sh -c '
		df -m / | awk "NR == 2 {print (\$2 <= 64)}"; dd if=/dev/zero of=/big bs=1M count=100 2>&1; true'
	assert "${lines[0]}" = 1 "size of / in MiB"
	assert "$output" =~ "No space left on device"
	run_vpod run --rm --network none $IMAGE df -m /
	assert "$(awk 'NR == 2 {print ($2 > 9000)}' <<< "$output")" = 1 "default size"
}

@test "vpod run: the writable layer is kept between starts and costs little" {
	run_vpod run --name keeps --network none $IMAGE sh -c 'cat /kept 2>/dev/null; echo again >> /kept; rm -f /etc/motd; ls /etc/motd 2>&1; true'
	assert "$output" =~ "No such file"
	run_vpod start --attach keeps
	assert "${lines[0]}" = again
	disk=$(inspect_field keeps '{{.VM.ScratchDisk}}')
	assert "$(du -m "$disk" | cut -f 1)" -le 24 "MiB of the scratch disk"
	assert "$(stat -c %s "$disk")" -ge $((9 << 30)) "apparent size"
	# Others do not see it.
	run_vpod run --rm --network none $IMAGE cat /etc/motd
	assert "$output" = "vpod demo image"
}

share() { # MODE | OPTIONS
	run_vpod run --rm --network none --rootfs-mode "$1" $2 $IMAGE sh -c '
		cat /etc/motd; mount | grep " / "; echo written > /root/file && cat /root/file; ln -s x /root/link; chown 1000:2000 /root/file && stat -c "%u:%g" /root/file'
	assert "${lines[0]}" = "vpod demo image"
	has_line written
	has_line 1000:2000
	assert "$output" =~ "on / type ($1|overlay)"
}

@test "vpod run --rootfs-mode: virtiofs and 9p" {
	each_case share <<-'TABLE'
		virtiofs | ''
		9p       | ''
	TABLE
	nothing_left "$T"
	for mode in virtiofs 9p; do
		run_vpod run --name "kept-$mode" --rootfs-mode "$mode" --network none $IMAGE sh -c 'cat /kept 2>/dev/null; echo kept > /kept'
		# The end of a run lets go of the tree behind the command's back, but never of a
		# later run's.
		for _ in 1 2 3 4; do
			run_vpod start --attach "kept-$mode"
			assert "$output" = kept "what the first run wrote"
		done
		run_vpod run --rm --read-only --rootfs-mode "$mode" --network none $IMAGE sh -c 'touch /x 2>&1; cat /etc/motd'
		assert "$output" =~ "Read-only file system"
		assert "$output" =~ "vpod demo image"
	done
}

@test "vpod run: QEMU is confined" {
	run_vpod run --detach --name confined --network none $IMAGE sleep 1000
	pid=$(inspect_field confined '{{.State.Pid}}')
	assert "$(tr '\0' ' ' < "/proc/$pid/cmdline")" =~ "-sandbox on" "sandbox"
	assert "$(awk '/^Seccomp:/ {print $2}' "/proc/$pid/status")" = 2 "seccomp filter"
	assert "$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$pid/status")" = 1 "no new privileges"
	listening=$(awk -v p="$T/" 'index($8, p) == 1 {print $8}' /proc/net/unix | sort -u)
	for socket in $listening; do
		assert "$(stat -c %a "$(dirname "$socket")")" = 700 "directory of $socket"
	done
}
