#!/usr/bin/env bats
# vpod run: the command's environment, user, rights and limits. Many options share
# a machine, for each boot takes its time.

load helpers

# has_line LINE: the output has it.
has_line() { printf '%s\n' "$output" | grep -qxF -e "$1" || die "no line $(printf %q "$1")"; }
has_no_line() { ! printf '%s\n' "$output" | grep -qE -e "$1" || die "a line like $1"; }

@test "vpod run: variables, directory, umask, zone, host name" {
	printf '# comment\nFROM_FILE=file\nBOTH=file\n  INDENTED=x y\nHOSTVAR\n' > "$T/env"
	HOSTVAR=ours ABC_1=1 ABC_2=2 run_vpod run --rm --network none \
		-e PLAIN=value -e EMPTY= -e BOTH=flag -e HOSTVAR -e 'ABC_*' -e NOT_SET_HERE -e "SPACES=a  b" --env-file "$T/env" \
		-w /home/app --umask 0027 --tz Asia/Tokyo --hostname guest.example -l x=y \
		$IMAGE sh -c 'env; pwd; umask; date +%z; hostname; cat /etc/hostname'
	for line in PLAIN=value EMPTY= BOTH=flag HOSTVAR=ours ABC_1=1 ABC_2=2 'SPACES=a  b' FROM_FILE=file 'INDENTED=x y' \
		FROM_IMAGE=yes container=vpod HOSTNAME=guest.example HOME=/root /home/app 0027 +0900 guest.example; do
		has_line "$line"
	done
	has_no_line '^NOT_SET_HERE'
	has_no_line '^(VPOD_|BATS_|T=)'
	assert "$(grep -cx guest.example <<< "$output")" -eq 2 "hostname and /etc/hostname"
}

as_user() { # --user AND --group-add | id | HOME
	local options
	eval "options=($1)"
	run_vpod run --rm --network none "${options[@]}" $IMAGE sh -c 'id; echo "HOME=$HOME"'
	assert "${lines[0]}" = "$2" "id of $1"
	assert "${lines[1]}" = "HOME=$3" "home of $1"
}

@test "vpod run --user: looked up in the image" {
	each_case as_user <<-'TABLE'
		--user app                   | uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)  | /home/app
		--user 1000:extra            | uid=1000(app) gid=2000(extra) groups=2000(extra)          | /home/app
		--user 4242                  | uid=4242 gid=0(root) groups=0(root)                       | /
		--user 4242:4343             | uid=4242 gid=4343 groups=4343                             | /
		--user app --group-add 77 --group-add nogroup | uid=1000(app) gid=1000(app) groups=77,1000(app),2000(extra),65534(nogroup) | /home/app
	TABLE
	run_vpod 126 run --rm --network none --user nosuchuser $IMAGE true
	assert "$stderr" =~ "nosuchuser"
	run_vpod 126 run --rm --network none --group-add nosuchgroup $IMAGE true
	assert "$stderr" =~ "nosuchgroup"
	run_vpod 126 run --rm --network none --user root:nosuchgroup $IMAGE true
	assert "$stderr" =~ "nosuchgroup"
}

@test "vpod run --workdir: made when missing, refused when no directory" {
	run_vpod run --rm --network none -w /made/here $IMAGE pwd
	assert "$output" = "/made/here"
	run_vpod 126 run --rm --network none -w /etc/passwd $IMAGE pwd
	assert "$stderr" =~ "/etc/passwd"
}

entry() { # OPTIONS | COMMAND | OUTPUT
	local options command
	eval "options=($1) command=($2)"
	run_vpod run --rm --network none "${options[@]}" $IMAGE "${command[@]}"
	assert "$output" = "$3"
}

@test "vpod run --entrypoint" {
	each_case entry <<-'TABLE'
		--entrypoint echo                      | a 'b  c'   | a b  c
		--entrypoint '["echo","-n","x y"]'     | z          | x y z
		--entrypoint ''                        | echo plain | plain
	TABLE
	run_vpod 125 run --rm --network none --entrypoint '' $IMAGE
	assert "$stderr" =~ "command"
}

# capabilities OPTIONS | CapEff | CapBnd, in hexadecimal. The default set is Podman's.
capabilities() {
	local options
	eval "options=($1)"
	run_vpod run --rm --network none "${options[@]}" $IMAGE grep -E '^Cap(Eff|Bnd):' /proc/self/status
	assert "$(awk '/CapEff/ {print $2}' <<< "$output")" =~ "$2" "effective, $1"
	assert "$(awk '/CapBnd/ {print $2}' <<< "$output")" =~ "$3" "bounding, $1"
}

@test "vpod run --cap-add, --cap-drop, --privileged" {
	each_case capabilities <<-'TABLE'
		''                                             | ^00000000800405fb$ | ^00000000800405fb$
		--cap-drop ALL                                 | ^0000000000000000$ | ^0000000000000000$
		--cap-drop all --cap-add NET_RAW,cap_chown     | ^0000000000002001$ | ^0000000000002001$
		--cap-add SYS_ADMIN --cap-drop SETUID          | ^0000000080240[0-9a-f]7b$ | ^0000000080240[0-9a-f]7b$
		--privileged                                   | ^000001ffffffffff$ | ^000001ffffffffff$
		--user app                                     | ^0000000000000000$ | ^00000000800405fb$
		--user app --cap-add NET_RAW                   | ^0000000000002000$ | ^00000000800425fb$
	TABLE
}

@test "vpod run --security-opt" {
	# no_new_privs, the default seccomp filter and masked paths, then each taken away.
	local look='grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status; wc -c < /proc/kcore 2>&1 | cut -c 1; touch /proc/sys/kernel/domainname 2>&1; ls /sys/firmware | wc -l'
	run_vpod run --rm --network none --security-opt no-new-privileges $IMAGE sh -c "$look"
	has_line $'NoNewPrivs:\t1'
	has_line $'Seccomp:\t2'
	assert "$output" =~ "Read-only file system"
	run_vpod run --rm --network none --security-opt seccomp=unconfined --security-opt unmask=ALL --security-opt mask=/etc/motd:/usr $IMAGE sh -c "$look; wc -c < /etc/motd"
	has_line $'NoNewPrivs:\t0'
	has_line $'Seccomp:\t0'
	assert "$output" !~ "Read-only file system"
	has_line 0
}

@test "vpod run --security-opt seccomp=PROFILE" {
	cat > "$T/profile.json" <<-'JSON'
		{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
		 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
	JSON
	run_vpod 1 run --rm --network none --security-opt "seccomp=$T/profile.json" $IMAGE mkdir /tmp/x
	assert "$stderr" =~ "No space left on device"
	echo '{"defaultAction": "SCMP_ACT_NOSUCH"}' > "$T/bad.json"
	run_vpod 125 run --rm --network none --security-opt "seccomp=$T/bad.json" $IMAGE true
	assert "$stderr" =~ "SCMP_ACT_NOSUCH"
	echo 'not json' > "$T/bad.json"
	run_vpod 125 run --rm --network none --security-opt "seccomp=$T/bad.json" $IMAGE true
	assert "$stderr" =~ "bad.json"
}

@test "vpod run --privileged: harmless to the host, powerful in the guest" {
	run_vpod run --rm --network none --privileged $IMAGE sh -c '
		grep Seccomp: /proc/self/status; mount -t tmpfs none /mnt 2>&1 || { mkdir /mnt && mount -t tmpfs none /mnt; } && echo mounted
		echo x > /proc/sys/kernel/domainname && echo sysctl; cat /proc/sys/kernel/domainname'
	has_line $'Seccomp:\t0'
	has_line mounted
	has_line sysctl
	has_line x
	assert "$(cat /proc/sys/kernel/domainname)" != x
}

@test "vpod run --ulimit, --pids-limit, --sysctl, --cpus below one" {
	run_vpod run --rm --network none --ulimit nofile=123:456 --ulimit core=0 --ulimit nproc=-1 --pids-limit 17 \
		--sysctl kernel.msgmax=4321 --sysctl net.ipv4.ip_forward=1 --cpus 0.5 $IMAGE sh -c '
		ulimit -Sn; ulimit -Hn; ulimit -c; cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward'
	assert "$output" = $'123\n456\n0\n17\n50000 100000\n4321\n1'
}

@test "vpod run --pids-limit: the limit holds" {
	run_vpod "?" run --rm --network none --pids-limit 6 $IMAGE sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 2 & done; echo kept'
	assert "$stderr" =~ "can't fork|Resource temporarily unavailable"
}

@test "vpod run: namespaces and /proc are the container's own" {
	run_vpod run --rm --network none $IMAGE sh -c '
		echo $$; ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm; cat /proc/self/cgroup; cat /proc/1/oom_score_adj
		ls -l /proc/1/exe | grep -c busybox; mount | grep -c " / type overlay"'
	assert "${lines[0]}" = 1 "process id"
	assert "${lines[1]}" -le 3 "processes"
	assert "${lines[2]}" = sh
	assert "${lines[3]}" = "0::/" "cgroup"
	assert "${lines[5]}" = 1
	assert "${lines[6]}" = 1 "overlay root"
}

@test "vpod run: /dev, /dev/shm, /dev/pts are as runtime-spec says" {
	run_vpod run --rm --network none --shm-size 3m $IMAGE sh -c '
		for f in null zero full random urandom tty ptmx; do [ -c /dev/$f ] || [ -L /dev/$f ] || echo missing $f; done
		for f in fd stdin stdout stderr; do [ -L /dev/$f ] || echo missing $f; done
		df -k /dev/shm | awk "NR == 2 {print \$2}"; echo x > /dev/null; head -c 3 /dev/zero | od -An -c
		ls /dev | grep -cE "^(vd|sd|vport|mem|kmem|port)"; true'
	assert "$output" !~ missing
	assert "${lines[0]}" = 3072 "size of /dev/shm"
	assert "${lines[2]}" = 0 "devices of the machine"
}
