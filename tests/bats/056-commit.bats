#!/usr/bin/env bats
# commit, export and diff: what comes out of a container's disk, which the host never
# reads itself.

load helpers

setup_file() {
	file_setup
	export DEBIAN=localhost/debian:12
	[ -n "${VPOD_TEST_DEBIAN:-}" ] || return 0
	local ctr
	ctr=$(buildah from --quiet --pull-never scratch)
	buildah add --quiet "$ctr" "$VPOD_TEST_DEBIAN" / > /dev/null
	buildah config --cmd /bin/bash "$ctr"
	buildah commit --quiet --rm "$ctr" $DEBIAN > /dev/null
}

# CHANGE is a shell's, BusyBox's, that changes of an image what it can.
CHANGE='set -e
	echo new > /etc/new; echo more >> /etc/passwd; rm /bin/sleep; ln -s busybox /bin/sleep; rm /bin/ls
	rm -r /etc/network 2>/dev/null || :
	rm -rf /var; mkdir -p /var/lib; echo fresh > /var/lib/file
	mkdir -p /a/dir; echo one > /a/first; ln /a/first /a/second; chown 12:60000 /a/first; chmod 4750 /a/first
	touch -d "2001-02-03 04:05:06" /a/dir'

# TREE is Python: it prints a line for each file with all that is to be kept of it.
TREE='
import hashlib, os, stat, sys
seen = {}
for top, dirs, files in os.walk("/", onerror=lambda e: sys.exit(e)):
    if top == "/":
        dirs[:] = [d for d in dirs if d not in ("proc", "sys", "dev", "run")]
    dirs.sort()
    for name in [""] * (top == "/") + sorted(dirs + files):
        p = os.path.join(top, name)
        if p in ("/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/"):
            continue
        st = os.lstat(p)
        fields = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
        if not stat.S_ISDIR(st.st_mode):
            fields += [st.st_nlink, st.st_size, seen.setdefault((st.st_dev, st.st_ino), p)]
        if stat.S_ISLNK(st.st_mode):
            fields.append(os.readlink(p))
        if stat.S_ISREG(st.st_mode):
            fields.append(hashlib.sha1(open(p, "rb").read()).hexdigest())
        if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            fields.append(st.st_rdev)
        fields += [(a, os.getxattr(p, a, follow_symlinks=False)) for a in sorted(os.listxattr(p, follow_symlinks=False))]
        print(repr(p), *fields)
'

# MAKE is Python: it makes one of everything that a layer has to keep.
MAKE='
import os, shutil, struct
os.makedirs("/t/dir/sub")
open("/t/file", "w").write("content")
os.chown("/t/file", 1234, 56789); os.chmod("/t/file", 0o6751)
os.setxattr("/t/file", "user.note", b"a\0=b\n")
os.setxattr("/t/file", "security.capability", struct.pack("<IIIII", 0x02000001, 0x2400, 0, 0, 0))
os.link("/t/file", "/t/hard"); os.link("/t/file", "/t/dir/sub/hard")
os.symlink("../nowhere/at/all", "/t/link"); os.lchown("/t/link", 5, 6)
os.mkfifo("/t/pipe", 0o604)
with open("/t/sparse", "wb") as f:
    f.seek(5 << 20); f.write(b"end"); f.truncate(8 << 20)
open("/t/" + "x" * 200 + "\u00fc", "w").close()
open(b"/t/not-utf8-\xff", "w").close()
os.setxattr("/t/dir", "user.dir", b"1")
os.utime("/t/file", ns=(1700000000123456789, 1700000000123456789))
os.utime("/t/dir", ns=(987654321, 987654321))
os.remove("/etc/issue"); shutil.rmtree("/usr/share/doc"); os.makedirs("/usr/share/doc/only")
shutil.rmtree("/usr/share/man")
open("/usr/bin/env", "ab").close(); os.chmod("/usr/bin/env", 0o711)
os.rename("/etc/debian_version", "/etc/was_debian_version")
'

# same_tree CONTAINER IMAGE: a container of the image sees the same tree.
same_tree() {
	run_vpod exec "$1" python3 -c "$TREE"
	printf '%s\n' "$output" > "$T/before"
	run_vpod run --rm --network none "$2" python3 -c "$TREE"
	printf '%s\n' "$output" > "$T/after"
	assert "$(wc -l < "$T/before")" -gt 1000
	run_logged diff "$T/before" "$T/after"
}

@test "a tree of debian survives commit and run" {
	need_debian
	run_vpod run --detach --name tree --network none $DEBIAN sleep 1000
	run_vpod exec tree python3 -c "$MAKE"
	run_vpod commit --quiet tree localhost/running
	assert "$output" =~ '^[0-9a-f]{64}$'
	same_tree tree localhost/running
	run_vpod stop --time 0 tree
	run_vpod commit --quiet tree localhost/stopped
	run_vpod commit --quiet --squash tree localhost/squashed
	run_vpod start tree
	same_tree tree localhost/stopped
	same_tree tree localhost/squashed
	run_vpod history --quiet localhost/squashed
	assert "${#lines[@]}" -eq 1 "layers"
	run_vpod export --output "$T/tree.tar" tree
	run_vpod import --quiet "$T/tree.tar" localhost/imported
	same_tree tree localhost/imported
	rm "$T/tree.tar"
}

@test "what was deleted stays so, and directories stay opaque" {
	run_vpod run --name c --network none $IMAGE sh -c "$CHANGE"
	run_vpod commit --quiet c localhost/changed
	run_vpod run --rm --network none localhost/changed sh -c '
		cat /etc/new; tail -n 1 /etc/passwd; find /var; busybox ls -i /a/first /a/second | cut -d / -f 1 | uniq | wc -l
		stat -c "%u %g %a" /a/second; stat -c %Y /a/dir; readlink /bin/sleep; busybox test -e /bin/ls || echo gone'
	assert "$output" = "new
more
/var
/var/lib
/var/lib/file
/var/lib/data
1
12 60000 4750
981173106
busybox
gone"
	# Podman sees the same.
	run_logged buildah from --quiet --pull-never --name look localhost/changed
	dir=$(is_rootless && buildah unshare sh -c 'cat "$(buildah mount look)/var/lib/file"' || cat "$(buildah mount look)/var/lib/file")
	assert "$dir" = fresh
	run_logged buildah rm look
}

@test "diff and export say the same of a container that runs and one that does not" {
	run_vpod run --detach --name c --network none $IMAGE sh -c "$CHANGE; exec busybox sleep 1000"
	wait_until 20 vpod exec c test -d /a/dir
	sleep 1
	run_vpod diff c
	running=$output
	for line in "A /a" "A /a/second" "C /bin" "D /bin/ls" "C /bin/sleep" "C /etc" "A /etc/new" "C /etc/passwd"; do
		assert "$(grep -cxF "$line" <<< "$output")" -eq 1 "$line in $output"
	done
	assert "$output" !~ "/etc/hosts|/proc|/sys|/dev"
	vpod export c | tar t > "$T/list"
	assert "$(grep -cx 'a/first' "$T/list")" -eq 1
	assert "$(grep -c '^proc/.' "$T/list" || true)" -eq 0 "mounts"
	run_vpod stop --time 0 c
	run_vpod diff c
	assert "$output" = "$running"
	vpod export c | tar t | cmp - "$T/list"
	run_vpod diff --format json c
	assert "$output" =~ '"added": \['
	assert "$(is_gone_all)" = "" "machines"
	run_vpod diff --latest
	assert "$output" = "$running"
}

# is_gone_all prints machines of this file that still run.
is_gone_all() { machine_processes "$T" | grep qemu- || true; }

@test "of a container that never ran" {
	run_vpod create --name never --network none $IMAGE echo started
	run_vpod diff never
	assert "$output" = ""
	run_vpod commit --quiet never localhost/never
	run_vpod run --rm --network none localhost/never
	assert "$output" = started
	run_vpod start --attach never
	assert "$output" = started
}

@test "the configuration of an image" {
	run_vpod create --name conf --network none --env A=1 --label l=1 --user 5:6 --workdir /tmp $IMAGE echo hello
	run_vpod commit --iidfile "$T/iid" --author me --change 'ENV B=2' --change 'EXPOSE 80' --change 'LABEL m=2' --change 'STOPSIGNAL 9' --change 'VOLUME /v' conf localhost/conf
	assert "$output" = "$(cat "$T/iid")"
	run_logged skopeo inspect --config --raw "$(store_name localhost/conf)"
	config=$output
	for text in '"A=1"' '"B=2"' '"80/tcp"' '"l":"1"' '"m":"2"' '"StopSignal":"9"' '"/v"' '"User":"5:6"' '"WorkingDir":"/tmp"' '"echo","hello"' '"author":"me"' "FROM $IMAGE"; do
		assert "$config" =~ "$text" "$text"
	done
	run_logged skopeo inspect --raw "$(store_name localhost/conf)"
	assert "$output" =~ "application/vnd.oci.image.manifest.v1"
	run_vpod commit --quiet --format docker --message "a note" --change 'CMD ["id","-u"]' --change 'ONBUILD RUN true' conf localhost/docker
	run_logged skopeo inspect --raw "$(store_name localhost/docker)"
	assert "$output" =~ "vnd.docker.distribution.manifest.v2"
	run_logged skopeo inspect --config --raw "$(store_name localhost/docker)"
	assert "$output" =~ '"a note"'
	assert "$output" =~ '"RUN true"'
	run_vpod run --rm --network none localhost/docker
	assert "$output" = 5
	run_logged skopeo copy --quiet "$(store_name localhost/conf)" "oci-archive:$T/conf.tar"
	rm "$T/conf.tar"
}

@test "what is refused" {
	run_vpod create --name c --network none $IMAGE true
	run_vpod 125 commit none
	assert "$stderr" =~ "no container"
	run_vpod 125 commit --message x c
	assert "$stderr" =~ "docker image format"
	run_vpod 125 commit --change 'FOO bar' c
	assert "$stderr" =~ "FOO"
	run_vpod 125 commit c 'BAD NAME'
	run_vpod 125 commit --include-volumes c
	run_vpod 125 diff none
	run_vpod 125 export none
	run_vpod 125 export --output "$T/none/file" c
	assert "$(ls "$T/none" 2>&1)" =~ "No such file"
}

@test "volumes are not part of it" {
	run_vpod create --name base --network none $IMAGE true
	run_vpod commit --quiet --change 'VOLUME /data' base localhost/volume
	run_vpod run --detach --name v --network none localhost/volume sh -c 'echo x > /data/file; echo y > /other; exec sleep 1000'
	wait_until 20 vpod exec v test -s /other
	run_vpod diff v
	assert "$output" !~ "/data/file"
	assert "$output" =~ "A /other"
	vpod export v | tar t > "$T/list"
	assert "$(grep -c '^data/.' "$T/list" || true)" -eq 0
}

# writes_on CONTAINER: somebody can write to its disk.
writes_on() { timeout 20 "$VPOD" --root "$T/d" --runroot "$T/r" exec "$1" sh -c 'echo x > /written && sync'; }

@test "a killed command leaves the container running and its disk thawed" {
	run_vpod run --detach --name busy --network none $IMAGE sh -c 'dd if=/dev/urandom of=/big bs=1M count=60 2>/dev/null; touch /made; exec sleep 1000'
	wait_until 60 vpod exec busy test -e /made
	for verb in "commit --quiet busy localhost/x" "export --output $T/x.tar busy" "diff busy"; do
		start_vpod $verb
		sleep 0.3
		kill -KILL "$started" 2>/dev/null || true # it may have been quick
		wait "$started" || true
		writes_on busy
		has_state busy running
	done
	run_vpod commit --quiet --squash busy localhost/y
	writes_on busy
	run_vpod run --rm --network none localhost/y ls /big /made /bin/busybox
	assert "${#lines[@]}" -eq 3
	assert "$(find "$T" -maxdepth 1 -type f -name '.*')" = "" "what a killed export left"
	run_vpod stop --time 0 busy
	for verb in "commit --quiet busy localhost/x" "diff busy"; do
		start_vpod $verb
		sleep 0.5
		kill -KILL "$started" 2>/dev/null || true # it may have been quick
		wait "$started" || true
		wait_until 10 no_machines
	done
	run_vpod start busy
	writes_on busy
}

no_machines() { [ -z "$(is_gone_all)" ]; }

@test "a stopped command thaws the disk in the end, and nobody writes before" {
	run_vpod run --detach --name slow --network none $IMAGE sh -c 'dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null; touch /made; exec sleep 1000'
	wait_until 60 vpod exec slow test -e /made
	mkfifo "$T/pipe"
	# Nobody reads the pipe: export, which does not freeze, stands still.
	start_vpod export --output "$T/pipe" slow
	writes_on slow
	kill -KILL "$started"
	wait "$started" || true
	start_vpod commit --quiet slow localhost/slow
	sleep 0.2
	kill -STOP "$started"
	wait_until 60 writes_on slow
	kill -CONT "$started"
	wait "$started" || true
	writes_on slow
	rm "$T/pipe"
}

@test "a container can be stopped while its files are read" {
	run_vpod run --detach --name c --network none $IMAGE sh -c 'dd if=/dev/urandom of=/big bs=1M count=60 2>/dev/null; touch /made; exec sleep 1000'
	wait_until 60 vpod exec c test -e /made
	mkfifo "$T/pipe"
	start_vpod export --output "$T/pipe" c
	exec 9< "$T/pipe"
	sleep 0.5
	run_vpod stop --time 0 c
	exec 9<&-
	ended 125
	run_vpod rm c
	rm "$T/pipe"
}

@test "no space for what is committed" {
	skip_if_rootless "a small file system is mounted"
	run_vpod run --detach --name c --network none $IMAGE sh -c 'dd if=/dev/urandom of=/big bs=1M count=30 2>/dev/null; touch /made; exec sleep 1000'
	wait_until 60 vpod exec c test -e /made
	mkdir "$T/small"
	mount -t tmpfs -o size=10m none "$T/small"
	run_vpod 125 export --output "$T/small/c.tar" c
	left=$(find "$T/small" -type f)
	umount "$T/small"
	rmdir "$T/small"
	assert "$stderr" =~ "no space left"
	assert "$left" = "" "files left"
	writes_on c
}
