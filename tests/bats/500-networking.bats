#!/usr/bin/env bats
# Networking: none, the default, published ports.

load helpers

@test "--network none: the loopback interface alone" {
	run_vpod run --rm --network none --cap-add NET_RAW $IMAGE sh -c 'ls /sys/class/net; ip -4 addr show lo | grep -c "inet 127.0.0.1/8"; ip route | wc -l; ping -c 1 -W 2 127.0.0.1 > /dev/null && echo pong'
	assert "$output" = $'lo\n1\n0\npong'
}

@test "default network: address, route, name servers, host name" {
	run_vpod run --rm --hostname box $IMAGE sh -c '
		ip -4 -o addr show scope global | wc -l; ip -4 route show default | grep -c via
		gw=$(ip -4 route show default | awk "{print \$3}"); echo "via $gw"; grep -c ^nameserver /etc/resolv.conf; grep -w box /etc/hosts | wc -l'
	assert "${lines[0]}" = 1 "addresses"
	assert "${lines[1]}" = 1 "default routes"
	assert "${lines[2]}" = "via 10.0.2.2" "gateway"
	assert "${lines[3]}" -ge 1 "name servers"
	assert "${lines[4]}" -ge 1 "own name in /etc/hosts"
}

@test "default sysctls of containers.conf reach the machine" {
	run_vpod run --rm --network none $IMAGE cat /proc/sys/net/ipv4/ping_group_range
	assert "$output" =~ '^0[[:space:]]+0$'
}

@test "default network: each container has its own MAC address" {
	run_vpod run --rm $IMAGE sh -c 'cat /sys/class/net/e*/address'
	first=$output
	run_vpod run --rm $IMAGE sh -c 'cat /sys/class/net/e*/address'
	assert "$output" != "$first"
	assert "$output" =~ '^[0-9a-f]([26ae])(:[0-9a-f]{2}){5}$' "locally administered"
}

# ask_tcp PORT TEXT prints what the server says.
ask_tcp() {
	"$PYTHON" - "$@" <<-'PY'
		import socket, sys
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
		s.settimeout(10)
		s.sendall(sys.argv[2].encode() + b"\n")
		s.shutdown(socket.SHUT_WR)
		data = b""
		while True:
		    part = s.recv(65536)
		    if not part:
		        break
		    data += part
		print(data.decode(), end="")
	PY
}

# UDP is tested in 160-debian.bats: this image has no program that answers it.
@test "-p: TCP from the host's loopback" {
	tcp=$(free_port) udp=$(free_port)
	run_vpod run --detach --name srv -p "127.0.0.1:$tcp:80" -p "127.0.0.1:$udp:53/udp" $IMAGE sh -c '
		printf "#!/bin/sh\nread -r line; echo tcp \$line\n" > /answer; chmod +x /answer; echo up; exec nc -ll -p 80 -e /answer'
	wait_until 20 log_has srv up
	answered() { [ "$(ask_tcp "$tcp" hello 2>/dev/null)" = "tcp hello" ]; }
	wait_until 20 answered
	run_vpod ps --format '{{.Ports}}'
	assert "$output" =~ "127.0.0.1:$tcp->80/tcp"
	assert "$output" =~ "127.0.0.1:$udp->53/udp"
	run_vpod inspect --format '{{json .NetworkSettings.Ports}}' srv
	assert "$output" =~ "\"80/tcp\":\[\{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"$tcp\"\}\]"
	# Bound to the named address only.
	assert "$(awk -v p=":$(printf %04X "$tcp")\$" '$2 ~ p && $4 == "0A" {print $2}' /proc/net/tcp)" = "0100007F:$(printf %04X "$tcp")"
	run_vpod stop --time 0 srv
	capture ask_tcp "$tcp" hello
	assert "$status" -ne 0 "the port is free again"
}

@test "-p: any free port is chosen and told" {
	run_vpod run --detach --name any -p 127.0.0.1::80 $IMAGE nc -ll -p 80 -e echo here
	run_vpod ps --format '{{.Ports}}'
	[[ $output =~ 127.0.0.1:([0-9]+)-\>80/tcp ]] || die "no port: $output"
	port=${BASH_REMATCH[1]}
	answered() { [ "$(ask_tcp "$port" x 2>/dev/null)" = here ]; }
	wait_until 20 answered
	run_vpod port any
	assert "$output" = "80/tcp -> 127.0.0.1:$port"
	run_vpod port any 80
	assert "$output" = "127.0.0.1:$port"
	run_vpod 125 port any 81
	assert "$stderr" =~ 'failed to find published port "81"'
	run_vpod port --all
	assert "$output" =~ "80/tcp -> 127.0.0.1:$port"
	run_vpod stop --time 0 any
	run_vpod port any
	assert "$output" = ""
}

@test "-p: a port in use is told, nothing is left" {
	port=$(free_port)
	run_vpod run --detach --name first -p "127.0.0.1:$port:80" $IMAGE sleep 1000
	run_vpod 125 run --detach --name second -p "127.0.0.1:$port:80" $IMAGE sleep 1000
	assert "$stderr" =~ "$port"
	assert "$stderr" =~ "in use"
	run_vpod rm second
	has_state first running
	if is_rootless; then
		run_vpod 125 run --rm -p 127.0.0.1:80:80 $IMAGE true
		assert "$stderr" =~ "80"
	fi
}

@test "from the container outwards: servers of the host's loopback are not reached unasked" {
	port=$(free_port)
	"$PYTHON" -m http.server --bind 127.0.0.1 --directory "$TESTS" "$port" > /dev/null 2>&1 3>&- &
	server=$!
	run_vpod "?" run --rm $IMAGE sh -c "gw=\$(ip -4 route show default | awk '{print \$3}'); wget -T 5 -q -O - http://127.0.0.1:$port/ ; wget -T 5 -q -O - http://\$gw:$port/helpers.bash | head -n 1"
	kill "$server"
	assert "$output" !~ "What the suites share"
}

@test "--add-host host-gateway" {
	run_vpod run --rm --add-host host.internal:host-gateway $IMAGE grep host.internal /etc/hosts
	assert "$output" =~ '^[0-9a-f.:]+[[:space:]]+host.internal'
}

@test "--network user is the default; others are refused with a reason" {
	run_vpod run --rm --network user $IMAGE sh -c 'ls /sys/class/net | wc -l'
	assert "$output" = 2
	run_vpod 125 run --rm --network bridge $IMAGE true
	assert "$stderr" =~ "bridge"
}

@test "published ports with --network none are warned of" {
	run_vpod create --name warned --network none -p 8080:80 $IMAGE true
	assert "$stderr" =~ "Warning: .*--network none"
}

@test "restarting keeps the published port" {
	port=$(free_port)
	run_vpod run --detach --name again -p "127.0.0.1:$port:80" $IMAGE nc -ll -p 80 -e echo here
	run_vpod restart --time 0 again
	answered() { [ "$(ask_tcp "$port" x 2>/dev/null)" = here ]; }
	wait_until 20 answered
}
