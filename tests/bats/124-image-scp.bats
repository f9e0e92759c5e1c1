#!/usr/bin/env bats
# vpod image scp: with a real sshd(8) on 127.0.0.1, and with a stand-in for ssh(1) that
# gives several "hosts" image stores of their own.

load helpers

setup_file() {
	file_setup
	mkdir "$T/hosts"
	for host in one two real; do
		mkdir -p "$T/hosts/$host/bin"
		printf '#!/bin/sh\nexec %q --root %q --runroot %q "$@"\n' "$VPOD" "$T/hosts/$host/d" "$T/hosts/$host/r" > "$T/hosts/$host/bin/vpod"
		chmod 0755 "$T/hosts/$host/bin/vpod"
	done
	cat > "$T/bin/ssh" <<-SSH
		#!/bin/sh
		[ "\$1" = -- ] || exit 9
		host=\${2#*@}
		case \$host in
		real | closed) exec /usr/bin/ssh -F "$T/ssh/config" "\$@" ;;
		unreachable) echo "ssh: connect to host \$host port 22: Connection refused" >&2; exit 255 ;;
		esac
		PATH=$T/hosts/\$host/bin:\$PATH exec sh -c "\$3"
	SSH
	chmod 0755 "$T/bin/ssh"
}

# start_sshd starts one for the user the tests run as, with keys and a configuration of
# its own; "real" is its name, and nobody is at "closed". Root needs sshd's directory for
# processes without rights, which is removed if it was not there.
start_sshd() {
	local port i
	[ -x /usr/sbin/sshd ] || skip "there is no sshd: openssh-server, which opens port 22, is not installed for tests alone"
	mkdir -p "$T/ssh"
	for i in host mine other; do
		[ -e "$T/ssh/$i" ] || ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/$i"
	done
	cp "$T/ssh/mine.pub" "$T/ssh/authorized"
	if ! is_rootless && mkdir /run/sshd 2>/dev/null; then
		touch "$T/ssh/made-run-sshd"
	fi
	for i in 1 2 3; do
		port=$(free_port)
		cat > "$T/ssh/sshd_config" <<-CONF
			ListenAddress 127.0.0.1:$port
			HostKey $T/ssh/host
			AuthorizedKeysFile $T/ssh/authorized
			AuthenticationMethods publickey
			PidFile none
			PermitRootLogin yes
			StrictModes no
			UsePAM no
			PrintMotd no
			SetEnv PATH=$T/hosts/real/bin:/usr/bin:/bin HOME=$HOME XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR XDG_CACHE_HOME=$XDG_CACHE_HOME TMPDIR=$TMPDIR CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF CONTAINERS_REGISTRIES_CONF=$CONTAINERS_REGISTRIES_CONF
		CONF
		printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1-2 "$T/ssh/host.pub")" > "$T/ssh/known"
		cat > "$T/ssh/config" <<-CONF
			Host real
				Port $port
			Host closed
				Port 1
			Host *
				HostName 127.0.0.1
				IdentityFile $T/ssh/mine
				IdentitiesOnly yes
				BatchMode yes
				UserKnownHostsFile $T/ssh/known
				StrictHostKeyChecking yes
		CONF
		/usr/sbin/sshd -D -e -f "$T/ssh/sshd_config" > "$T/ssh/log" 2>&1 3>&- &
		echo $! > "$T/ssh/pid"
		for _ in $(seq 100); do
			! (exec 7<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
			! is_gone "$(cat "$T/ssh/pid")" || break
			sleep 0.1
		done
	done
	cat "$T/ssh/log" >&2
	die "sshd does not start"
}

stop_sshd() {
	[ -e "$T/ssh/pid" ] || return 0
	kill "$(cat "$T/ssh/pid")" 2>/dev/null || true
	wait_until 10 is_gone "$(cat "$T/ssh/pid")"
	rm "$T/ssh/pid"
	[ ! -e "$T/ssh/made-run-sshd" ] || rmdir /run/sshd
}

# on HOST ARG...: vpod there.
on() {
	local host=$1
	shift
	"$VPOD" --root "$T/hosts/$host/d" --runroot "$T/hosts/$host/r" "$@"
}

teardown() {
	stop_sshd
	test_teardown
}

teardown_file() {
	for host in one two real; do
		on "$host" rmi --all --force > /dev/null 2>&1 || true
		umount "$T/hosts/$host/d/overlay" 2>/dev/null || true
	done
	file_teardown
}

@test "vpod image scp: there, on, and back" {
	run_vpod image scp --quiet $IMAGE me@one::
	assert "$output" = "Loaded image: $IMAGE"
	assert "$stderr" = ""
	assert "$(on one images --format '{{.Repository}}:{{.Tag}}')" = $IMAGE
	run_vpod image scp one::$IMAGE two::
	assert "$stderr" =~ "Copying blob"
	assert "$(on two images --no-trunc --quiet)" = "$(vpod images --no-trunc --quiet)"
	run_vpod rmi $IMAGE
	run_vpod image scp two::$IMAGE
	run_vpod run --rm --network none $IMAGE cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "vpod image scp: with sshd, there and back" {
	start_sshd
	id=$(vpod images --no-trunc --quiet $IMAGE)
	run_vpod image scp --quiet $IMAGE "$(id -un)@real::"
	assert "$output" = "Loaded image: $IMAGE"
	assert "$stderr" = ""
	assert "$(on real images --no-trunc --quiet)" = "$id"
	run_vpod rmi $IMAGE
	run_vpod image scp real::$IMAGE
	assert "$output" = "Loaded image: $IMAGE"
	assert "$(vpod images --no-trunc --quiet $IMAGE)" = "$id"
}

@test "vpod image scp: with sshd, what is wrong is named" {
	start_sshd
	run_vpod 125 image scp real::localhost/none
	assert "$stderr" =~ "localhost/none: image not known"
	assert "$stderr" =~ "Error: save image localhost/none on real: "
	run_vpod 125 image scp $IMAGE closed::
	assert "$stderr" =~ "Connection refused"
	assert "$stderr" =~ "Error: load image $IMAGE on closed: "
	cp "$T/ssh/other.pub" "$T/ssh/authorized"
	run_vpod 125 image scp $IMAGE real::
	assert "$stderr" =~ "Permission denied"
	sed -i 's/ssh-ed25519 .*/ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/' "$T/ssh/known"
	run_vpod 125 image scp real::$IMAGE
	assert "$stderr" =~ "Host key verification failed"
	assert "$output" = ""
}

@test "vpod image scp: what is wrong is named" {
	run_vpod 125 image scp localhost/none one::
	assert "$stderr" =~ "localhost/none: image not known"
	assert "$stderr" =~ "Error: save image localhost/none: "
	run_vpod 125 image scp $IMAGE unreachable::
	assert "$stderr" =~ "Connection refused"
	assert "$stderr" =~ "Error: load image $IMAGE on unreachable: "
	run_vpod 125 image scp unreachable::$IMAGE
	run_vpod 125 image scp $IMAGE
	run_vpod 125 image scp "one::x;touch $T/evil"
	[ ! -e "$T/evil" ]
}
