#!/usr/bin/env bats
# vpod build: Containerfiles, each RUN step in a machine.

load helpers

teardown_file() {
	rm -rf "$HOME/.cache/vpod" # the library passes on no XDG_CACHE_HOME
	file_teardown
}

# context makes a fresh context in $C, its Containerfile from standard input.
context() {
	remove_dir "$C"
	mkdir "$C"
	cat > "$C/Containerfile"
}

setup() { C=$T/ctx; }

teardown() {
	test_teardown
	vpod rmi --force localhost/built > /dev/null 2>&1 || true
}

@test "vpod build: steps run in machines, and the image runs" {
	context <<-EOF
		FROM $IMAGE
		ARG WHO=nobody
		ENV GREETING=hello
		RUN uname -r > /kernel; echo "\$GREETING \$WHO" > /said; cat /kernel
		COPY --chown=5:6 --chmod=640 file /dir/
		USER 7
		WORKDIR /dir
		RUN id -u > /tmp/uid
		LABEL a=b
		CMD ["cat", "/said"]
	EOF
	echo content > "$C/file"
	run_vpod build -t localhost/built --build-arg WHO=world --iidfile "$T/iid" "$C"
	assert "$output" =~ "STEP 4/10: RUN uname"
	assert "$output" =~ "-vpod" "the guest's kernel"
	assert "$output" =~ "Successfully tagged localhost/built:latest"
	assert "$(cat "$T/iid")" =~ "^sha256:[0-9a-f]{64}$"
	run_vpod run --rm localhost/built
	assert "$output" = "hello world"
	run_vpod run --rm --user 0 localhost/built sh -c 'stat -c "%u %g %a" /dir/file; cat /tmp/uid; pwd'
	assert "$output" = $'5 6 640\n7\n/dir'
	# All of it is cached.
	run_vpod build -t localhost/built --build-arg WHO=world "$C"
	assert "$output" =~ "Using cache"
	assert "$output" !~ "-vpod"
	run_logged buildah images --quiet localhost/built
}

@test "vpod build: stages, heredocs, secrets, ignored files, other names" {
	context <<-EOF
		FROM $IMAGE AS one
		RUN <<END
		echo first > /a
		echo second >> /a
		END
		FROM $IMAGE AS unused
		RUN exit 9
		FROM $IMAGE AS last
		COPY --from=one /a /b
		COPY <<END /here
		inline
		END
		COPY . /ctx/
		RUN --mount=type=secret,id=s cat /run/secrets/s > /was; test -e /here
	EOF
	echo secret.txt > "$C/.containerignore"
	echo hush > "$C/secret.txt"
	echo kept > "$C/kept.txt"
	run_vpod bud --secret "id=s,src=$C/secret.txt" -t localhost/built "$C"
	run_vpod run --rm localhost/built sh -c 'cat /b /here /was; ls /ctx; ! ls /run/secrets/s 2>/dev/null'
	assert "$output" = $'first\nsecond\ninline\nhush\nContainerfile\nkept.txt'
	run_vpod buildx build --target one -q -t localhost/built "$C"
	assert "$output" =~ "^[0-9a-f]{64}$"
	run_vpod image build --squash-all -q -f - -t localhost/built "$C" <<< "FROM $IMAGE"
}

@test "vpod build: a context on standard input, volumes, no network" {
	context <<-EOF
		FROM $IMAGE
		RUN cat /v/data > /copy && ! ip link show eth0
	EOF
	mkdir -p "$T/vol"
	echo shared > "$T/vol/data"
	capture sh -c "tar -C '$C' -c . | '$VPOD' --root '$T/d' --runroot '$T/r' build --network none -v '$T/vol:/v:ro' -t localhost/built -"
	assert "$status" -eq 0 "exit code"
	run_vpod run --rm localhost/built cat /copy
	assert "$output" = shared
}

@test "vpod build: volumes that steps change only for themselves" {
	context <<-EOF
		FROM $IMAGE AS base
		RUN mkdir /vol && echo first > /vol/f
		VOLUME /vol
		FROM base
		RUN echo second > /vol/f; id -G
		RUN --mount=type=bind,target=/ctx,rw touch /ctx/new /v/new && cat /vol/f
	EOF
	mkdir -p "$T/vol2"
	run_vpod build --no-cache --compat-volumes --group-add 77 --unsetannotation none --inherit-labels=false --created-annotation=false \
		--source-date-epoch 1000 --rewrite-timestamp -v "$T/vol2:/v:O" -t localhost/built "$C"
	assert "$output" =~ "0 77"
	assert "$output" !~ "^second"
	assert "$(ls "$C" "$T/vol2")" !~ new
	run_vpod image inspect --format '{{.Created.Unix}} {{len .Labels}}' localhost/built
	assert "$output" = "1000 0"
	run_vpod run --rm localhost/built cat /vol/f
	assert "$output" = first
}

@test "vpod build: steps have a network, and the names they are given" {
	context <<-EOF
		FROM $IMAGE
		RUN ip -4 -o addr show dev eth0 && cat /etc/hosts /etc/resolv.conf
		RUN --network=none ! ip link show eth0
	EOF
	run_vpod build --no-cache --add-host other:192.0.2.9 --dns 192.0.2.53 --dns-search example.org --dns-option ndots:3 "$C"
	assert "$output" =~ "inet 10\."
	assert "$output" =~ 192.0.2.9[[:space:]]+other
	assert "$output" =~ "nameserver 192.0.2.53"
	assert "$output" =~ "search example.org"
	assert "$output" =~ "options ndots:3"
	printf 'FROM %s\nRUN cat /etc/resolv.conf; ! grep other /etc/hosts\n' $IMAGE | context
	run_vpod build --no-cache --dns none --no-hosts "$C"
	assert "$output" !~ nameserver
}

@test "vpod build: a step that fails ends it, and leaves nothing" {
	before=$(vpod images --all --quiet | sort)
	printf 'FROM %s\nRUN echo unlucky; exit 7\n' $IMAGE | context
	run_vpod 7 build "$C"
	assert "$output" =~ "unlucky"
	assert "$stderr" =~ "exit status 7"
	assert "$(vpod images --all --quiet | sort)" = "$before"
	run_vpod 125 build --network host "$C"
	assert "$stderr" =~ "user-mode network"
	run_vpod 125 build --security-opt seccomp="$C/Containerfile" "$C"
	assert "$stderr" =~ "not filtered"
	run_vpod 125 build --isolation chroot "$C"
	assert "$stderr" =~ "virtual machines"
	run_vpod 125 build "$C/none"
	run_vpod 125 build --no-such "$C"
	assert "$(buildah containers --quiet)" = ""
}

@test "vpod build: one that is killed leaves no machine, and the next cleans up" {
	printf 'FROM %s\nRUN echo begun; sleep 1000\n' $IMAGE | context
	for signal in TERM KILL; do
		start_vpod build "$C"
		for _ in $(seq 300); do
			! grep -q ^begun "$T/started.out" || break
			sleep 0.1
		done
		grep -q ^begun "$T/started.out"
		kill -s "$signal" "$started"
		ended "$([ $signal = TERM ] && echo 143 || echo 137)"
		for _ in $(seq 100); do
			pgrep -u "$(id -u)" -f "$T/r.*exec-shim|oci --root $T/r" > /dev/null || break
			sleep 0.1
		done
		assert "$(pgrep -u "$(id -u)" -f "oci --root $T/r" || true)" = "" "processes left"
	done
	printf 'FROM %s\nRUN true\n' $IMAGE | context
	run_vpod build -q "$C"
	assert "$(buildah containers --quiet)" = ""
	assert "$(ls "$T/r/vpod/builds")" = ""
}

@test "vpod build: other architectures, lists, squashing, and what is refused" {
	context <<-EOF
		FROM scratch
		COPY sh /bin/sh
	EOF
	cp "$(command -v busybox)" "$C/sh"
	printf '\267\0' | dd of="$C/sh" bs=1 seek=18 conv=notrunc status=none # e_machine: AArch64
	run_vpod build --platform linux/amd64,linux/arm64 --manifest localhost/built "$C"
	run_vpod manifest inspect localhost/built
	assert "$output" =~ '"arm64"'
	assert "$output" =~ '"amd64"'
	run_vpod manifest rm localhost/built
	run_vpod build --platform linux/arm64 --iidfile "$T/iid" -t localhost/foreign "$C"
	run_vpod image inspect --format '{{.Architecture}} sha256:{{.Id}}' localhost/foreign
	assert "$output" = "arm64 $(cat "$T/iid")"
	printf 'FROM localhost/foreign\nRUN true\n' | context
	run_vpod "?" build --platform linux/arm64 --pull=never "$C"
	assert "$status" -ne 0
	assert "$stderr" =~ "Exec format error"
	assert "$stderr" =~ "for linux/arm64 a RUN cannot work"
	assert "$stderr" !~ "cannot delete"
	vpod rmi localhost/foreign

	printf 'FROM %s\nRUN echo a > /a\nRUN echo b > /b\n' $IMAGE | context
	run_vpod build --squash -q -t localhost/built "$C"
	assert "$(vpod image inspect --format '{{len .RootFS.Layers}}' localhost/built)" -eq \
		$(($(vpod image inspect --format '{{len .RootFS.Layers}}' $IMAGE) + 1))
}

@test "vpod build --ssh: a step uses keys it does not see" {
	need_debian
	run_vpod import --quiet "$VPOD_TEST_DEBIAN" localhost/debian:ssh
	debian=localhost/debian:ssh
	openssl genrsa -out "$T/key" 2048 2> /dev/null
	chmod 0600 "$T/key"
	context <<-EOF
		FROM $debian
		COPY ask /ask
		RUN --mount=type=ssh python3 /ask > /first
		RUN --mount=type=ssh,id=deploy,target=/tmp/agent,uid=7,gid=8,mode=0660 stat -c '%F %u %g %a' /tmp/agent > /second && python3 /ask >> /second && for n in 1 2 3 4 5; do python3 /ask & done >> /third && wait
		RUN echo "\${SSH_AUTH_SOCK:-unset}" > /fourth; ls -A /run/buildkit /tmp >> /fourth 2>&1 || true
	EOF
	cat > "$C/ask" <<-'PY'
		import os, socket, struct
		s = socket.socket(socket.AF_UNIX)
		s.connect(os.environ["SSH_AUTH_SOCK"])
		s.sendall(struct.pack(">IB", 1, 11))  # SSH_AGENTC_REQUEST_IDENTITIES
		b = b""
		while len(b) < 9:
		    b += s.recv(4096) or exit("the agent hung up")
		print("answer", b[4], "keys", struct.unpack(">I", b[5:9])[0])
	PY
	# In a machine of the stage, and in one of each step.
	for jobs in 1 2; do
		run_vpod build --no-cache --jobs $jobs --ssh default="$T/key" --ssh deploy="$T/key" --network none -t localhost/built "$C"
		run_vpod run --rm --network none localhost/built cat /first /second /third /fourth
		assert "${lines[0]}" = "answer 12 keys 1"
		assert "${lines[1]}" = "socket 7 8 660"
		assert "${lines[2]}" = "answer 12 keys 1"
		assert "$(grep -c "answer 12 keys 1" <<< "$output")" -eq 7
		assert "${lines[8]}" = unset
		assert "$output" !~ "agent" "what is left in the image"
		vpod rmi localhost/built
	done
	run_vpod 125 build --ssh default="$T/nothing" "$C"
	assert "$stderr" =~ "$T/nothing"
	vpod rmi "$debian"
}

@test "vpod build: a cache in a registry" {
	start_registry
	printf 'FROM %s\nRUN uname -r; echo %s > /a\nENV A=b\n' $IMAGE "$RANDOM" | context
	run_vpod build --cache-to "$REGISTRY/cache" --cache-from "$REGISTRY/cache" -t localhost/built "$C"
	assert "$output" =~ "-vpod"
	assert "$output" =~ "Pushing cache"
	run_vpod rmi --force localhost/built
	run_vpod image prune --all --force
	vpod load --quiet --input "$VPOD_TEST_IMAGE" > /dev/null
	run_vpod build --cache-from "$REGISTRY/cache" -t localhost/built "$C"
	assert "$output" =~ "Cache pulled from remote"
	assert "$output" !~ "-vpod"
}

# The guest's kernel chooses the id when it is first asked.
BOOT=/proc/sys/kernel/random/boot_id

@test "vpod build: one machine serves the steps of a stage, and of no other" {
	context <<-EOF
		FROM $IMAGE AS one
		RUN cat $BOOT > /1
		RUN --network=none cat $BOOT > /none; ! ip link show eth0
		RUN cat $BOOT > /2; ip link show eth0
		RUN cat $BOOT > /3
		RUN echo STEP 1/7: FROM nothing; sleep 1; echo survived > /4
		FROM $IMAGE
		RUN cat $BOOT > /1
		COPY --from=one /1 /2 /3 /none /4 /one/
	EOF
	for more in --layers=true --layers=false "--quiet --layers"; do
		run_vpod build --no-cache $more -t localhost/built "$C"
		run_vpod run --rm localhost/built sh -c 'cd /one; cat 4; cmp 2 3 && echo same; cmp -s none 2 || echo different; cmp -s 3 /1 || echo another'
		[ "$more" = "--quiet --layers" ] || assert "$output" = $'survived\nsame\ndifferent\nanother' "with $more"
		[ "$more" != "--quiet --layers" ] || assert "$output" =~ different.another "with $more"
	done
	printf 'FROM %s\nRUN cat %s > /1\nRUN cat %s > /2\n' $IMAGE $BOOT $BOOT | context
	run_vpod build --no-cache --quiet -t localhost/built "$C"
	run_vpod run --rm localhost/built cmp /1 /2
	run_vpod build --no-cache --jobs 2 -t localhost/built "$C"
	run_vpod 1 run --rm localhost/built cmp -s /1 /2
}

@test "vpod build: a step leaves nothing to the next but its tree" {
	mkdir -p "$T/left"
	echo hush > "$T/secret"
	context <<-EOF
		FROM $IMAGE
		RUN --mount=type=secret,id=s --mount=type=tmpfs,target=/gone \\
			cat /run/secrets/s > /gone/s; touch /dev/shm/x /gone/x; \\
			(trap '' TERM HUP; while :; do echo >> /v/ticks; sleep 0.1; done) & sleep 0.5; hostname elsewhere; true
		RUN cp /v/ticks /before; sleep 1; cmp /v/ticks /before; \\
			! ls /run/secrets/s && ! ls /gone/* && ! ls /dev/shm/* && test "\$(ls -d /proc/[0-9]* | wc -l)" -lt 5
	EOF
	run_vpod build --no-cache -v "$T/left:/v" --secret "id=s,src=$T/secret" -t localhost/built "$C"
	run_vpod run --rm localhost/built test -s /before
}

@test "vpod build: a step loses its machine" {
	printf 'FROM %s\nRUN echo first > /a\nRUN echo begun; sleep 1000\n' $IMAGE | context
	start_vpod build --no-cache "$C"
	for _ in $(seq 300); do
		! grep -q ^begun "$T/started.out" || break
		sleep 0.1
	done
	pkill -KILL -u "$(id -u)" -f "qemu.*$T/r/vpod/builds"
	ended 125
	assert "$(cat "$T/started.err")" =~ "machine was lost"
	assert "$(buildah containers --quiet)" = ""
	# A machine that is gone between steps is replaced.
	printf 'FROM %s\nRUN echo first > /a\nRUN --mount=type=bind,target=/c sleep 1; cat /a\n' $IMAGE | context
	run_vpod build --no-cache "$C"
	assert "$output" =~ first
}
