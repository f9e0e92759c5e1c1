#!/usr/bin/env bats
# A real image: Debian 12 with python3, built by buildah, pushed to a registry,
# pulled and run by vpod.

load helpers

setup_file() {
	file_setup
	[ -n "${VPOD_TEST_DEBIAN:-}" ] || return 0
	start_registry
	local ctr
	ctr=$(buildah from --quiet scratch)
	buildah add --quiet "$ctr" "$VPOD_TEST_DEBIAN" / > /dev/null
	buildah config --cmd bash --env LANG=C.UTF-8 "$ctr"
	buildah commit --quiet --rm "$ctr" localhost/debian:12 > /dev/null
}

setup() { need_debian; }

@test "built by buildah, seen by vpod images without a pull, run" {
	run_vpod images --format '{{.Repository}}:{{.Tag}}'
	assert "$output" =~ "localhost/debian:12"
	run_vpod run --rm localhost/debian:12 cat /etc/debian_version
	assert "$output" =~ '^12'
}

@test "pushed to a registry, pulled by vpod, python3 -c" {
	run_logged buildah push --quiet --tls-verify=false localhost/debian:12 "docker://$REGISTRY/debian:12"
	run_vpod rmi localhost/debian:12
	run_vpod pull "$REGISTRY/debian:12"
	run_vpod run --rm --network none "$REGISTRY/debian:12" python3 -c '
import os, platform, sys
print(sys.version_info[0], platform.node() != "", os.getpid())
print(sum(n * n for n in range(1000)))'
	assert "$output" = $'3 True 1\n332833500'
}

@test "owners, links, modes and capabilities of files are those of the image" {
	local look='stat -c "%n %u:%g %a %s" /etc/shadow /usr/bin/passwd /tmp /var/mail /usr/bin/python3 /bin; find / -xdev -type f | wc -l'
	run_vpod run --rm --network none "$REGISTRY/debian:12" bash -c "$look"
	guest=$output
	tar --numeric-owner -tvf "$VPOD_TEST_DEBIAN" > "$T/list"
	assert "$guest" =~ "/etc/shadow 0:42 640 "
	assert "$guest" =~ "/usr/bin/passwd 0:0 4755 "
	assert "$guest" =~ "/tmp 0:0 1777 "
	assert "$guest" =~ "/var/mail 0:8 2775 "
	files=$(grep -c ^- "$T/list")
	links=$(grep -c ^h "$T/list" || true)
	assert "${guest##*$'\n'}" -ge "$((files + links - 20))" "files"
}

@test "apt-like work: a package manager's database, locales, an interactive bash" {
	run_vpod run --rm --network none "$REGISTRY/debian:12" bash -c 'dpkg -l | grep -c ^ii; dpkg --verify coreutils && echo intact'
	assert "${lines[0]}" -gt 50
	assert "${lines[1]}" = intact
	on_terminal --size 40x120 --timeout 60 --expect '\$ |# ' --send 'echo $COLUMNS-$LINES\r' --expect '120-40' --send 'exit\r' -- run -it --rm --network none "$REGISTRY/debian:12" bash
}

@test "-p: UDP from the host's loopback, TCP with many connections" {
	port=$(free_port)
	run_vpod run --detach --name udp -p "127.0.0.1:$port:5353/udp" -p "127.0.0.1:$port:5353" "$REGISTRY/debian:12" python3 -c '
import socket, threading
u = socket.socket(type=socket.SOCK_DGRAM)
u.bind(("0.0.0.0", 5353))
t = socket.create_server(("0.0.0.0", 5353))
print("up", flush=True)
def tcp():
    while True:
        c, _ = t.accept()
        c.sendall(b"tcp " + c.recv(100))
        c.close()
threading.Thread(target=tcp).start()
while True:
    data, peer = u.recvfrom(2000)
    u.sendto(b"udp " + data, peer)'
	wait_until 60 log_has udp up
	run_logged "$PYTHON" -c '
import socket, sys
address = ("127.0.0.1", int(sys.argv[1]))
u = socket.socket(type=socket.SOCK_DGRAM)
u.settimeout(2)
for n in range(5):
    for attempt in range(5):
        u.sendto(b"%d" % n * 200, address)
        try:
            assert u.recv(2000) == b"udp " + b"%d" % n * 200
            break
        except TimeoutError:
            pass
    else:
        sys.exit("no answer")
for n in range(20):
    c = socket.create_connection(address, 10)
    c.sendall(b"%d" % n)
    assert c.recv(100) == b"tcp %d" % n' "$port"
}
