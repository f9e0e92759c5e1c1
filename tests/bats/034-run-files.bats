#!/usr/bin/env bats
# vpod run: files and mounts the container finds.

load helpers

@test "vpod run --read-only: only temporary places can be written to" {
	run_vpod run --rm --network none --read-only $IMAGE sh -c '
		for d in / /etc /home/app; do touch $d/x 2>/dev/null && echo writable $d; done
		for d in /tmp /run /var/tmp /dev/shm; do touch $d/x 2>/dev/null || echo not writable $d; done; mount | grep -c " / .*(ro"'
	assert "$output" = 1
}

@test "vpod run --tmpfs" {
	run_vpod run --rm --network none --tmpfs /scratch:size=2m,mode=0700,noexec --tmpfs /etc/sub --tmpfs /home:mode=0711 $IMAGE sh -c '
		df -k /scratch | awk "NR == 2 {print \$2}"; stat -c %a /scratch; mount | grep -c "/scratch type tmpfs (.*nosuid,nodev,noexec"; touch /etc/sub/x && echo writable; stat -c %a /home; ls /home'
	assert "$output" = $'2048\n700\n1\nwritable\n711\napp'
}

@test "vpod run --add-host, --no-hosts" {
	run_vpod run --rm --network none --add-host one:10.1.2.3 --add-host six:fd00::1 --hostname box $IMAGE cat /etc/hosts
	assert "$output" =~ '10.1.2.3[[:space:]]+one'
	assert "$output" =~ 'fd00::1[[:space:]]+six'
	assert "$output" =~ '127.0.0.1[[:space:]]+localhost'
	assert "$output" =~ '[[:space:]]box'
	run_vpod "?" run --rm --network none --no-hosts $IMAGE cat /etc/hosts
	assert "$output" = "" "the image has no /etc/hosts"
}

@test "vpod run --dns, --dns-search, --dns-option" {
	run_vpod run --rm --dns 10.9.8.7 --dns 10.9.8.6 --dns-search example.com --dns-option ndots:3 $IMAGE cat /etc/resolv.conf
	assert "$output" =~ "nameserver 10.9.8.7"
	assert "$output" =~ "nameserver 10.9.8.6"
	assert "$output" =~ "search example.com"
	assert "$output" =~ "options ndots:3"
	run_vpod 125 run --rm --network none --dns 10.9.8.7 $IMAGE true
}

@test "vpod run: declared volumes are writable directories that last as long as the container" {
	run_vpod run --name vol --network none $IMAGE sh -c 'cat /var/lib/data/x 2>/dev/null; echo data > /var/lib/data/x'
	run_vpod start --attach vol
	assert "$output" = data
}

# What is expected is what Podman does with its volumes.
@test "vpod run: declared volumes that the image does not have, also with --read-only" {
	ctr=$(buildah from --quiet --pull-never $IMAGE)
	run_logged buildah config --user app --workingdir /srv/new --volume /srv/new --volume /run/app --volume /scratch --volume /etc "$ctr"
	run_logged buildah commit --quiet "$ctr" localhost/volumes:1
	run_logged buildah rm "$ctr"
	local look='stat -c "%n %U %a" /srv /srv/new /run/app /etc; pwd; echo x >> /srv/new/x && wc -l < /srv/new/x; touch /run/app/x && echo ok'
	local seen=$'/srv root 755\n/srv/new app 755\n/run/app app 755\n/etc root 755\n/srv/new'
	run_vpod run --name rw --network none localhost/volumes:1 sh -c "$look"
	assert "$output" = "$seen"$'\n1\nok'
	run_vpod start --attach rw
	assert "$output" = "$seen"$'\n2\nok'

	run_vpod run --name ro --network none --read-only --tmpfs /scratch:size=1m localhost/volumes:1 sh -c "$look"
	assert "$output" = "$seen"$'\n1\nok'
	run_vpod start --attach ro
	assert "$output" = "$seen"$'\n2\nok' "the volume is kept"
	run_vpod run --rm --network none --read-only --user 4242 --tmpfs /scratch:size=1m localhost/volumes:1 sh -c '
		touch /srv/x 2>/dev/null && echo writable; stat -c "%u %g" /srv/new; grep -c " /srv/new .*nosuid,nodev" /proc/mounts; df -k /scratch | awk "NR == 2 {print \$2}"'
	assert "$output" = $'4242 0\n1\n1024'
	run_vpod run --rm --network none --read-only --rootfs-mode 9p localhost/volumes:1 sh -c "$look"
	assert "$output" = "$seen"$'\n1\nok'
}

@test "vpod run --tz local, and a zone the image does not know" {
	[ -e /etc/localtime ] || skip "this host has no /etc/localtime"
	run_vpod run --rm --network none --tz local $IMAGE date +%z
	assert "$output" = "$(date +%z)"
}

@test "vpod run: the guest's clock is the host's" {
	before=$(date +%s)
	run_vpod run --rm --network none $IMAGE date +%s
	after=$(date +%s)
	assert "$output" -ge "$((before - 1))"
	assert "$output" -le "$((after + 1))"
}

@test "vpod run: machines are no twins" {
	local look='cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1'
	run_vpod run --rm --network none $IMAGE sh -c "$look"
	first=$output
	run_vpod run --rm --network none $IMAGE sh -c "$look"
	assert "${lines[0]}" != "$(head -n 1 <<< "$first")" "boot id"
	assert "${lines[1]}" != "$(tail -n 1 <<< "$first")" "random bytes"
}
