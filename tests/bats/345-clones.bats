#!/usr/bin/env bats
# Machines from one template are not alike: random numbers, names, addresses, the
# layout of processes and the clock are each one's own.

load helpers

CLONES=50
AT_ONCE=10

# The programs ask in different ways: the kernel's two devices, uuids, getrandom(2)
# by mktemp, which busybox names files with. The shell's own layout is in its maps.
# Every line is "KIND VALUE"; the clock comes first.
ASK='
	echo time $EPOCHREALTIME
	echo urandom $(head -c 32 /dev/urandom | od -An -tx1 | tr -d " \n")
	echo random $(head -c 32 /dev/random | od -An -tx1 | tr -d " \n")
	echo uuid $(cat /proc/sys/kernel/random/uuid)
	echo boot $(cat /proc/sys/kernel/random/boot_id)
	echo getrandom $(mktemp -u /tmp/XXXXXXXXXXXXXXXXXXXX)
	echo mac $(cat /sys/class/net/eth0/address)
	echo hostname $(hostname)
	[ ! -s /etc/machine-id ] || echo machine-id $(cat /etc/machine-id)
	sed -n "s/^\([0-9a-f]*\)-.*\[\(stack\|vdso\|heap\)\]$/\2 \1/p" /proc/self/maps
	echo auxv $(od -An -tx1 /proc/self/auxv | tr -d " \n" | md5sum | cut -d " " -f 1)
'

# clone N runs a container that answers; the host's time is noted around it.
clone() {
	date +%s.%N > "$T/clones/$1.before"
	"$VPOD" --root "$T/d" --runroot "$T/r" run --rm $IMAGE sh -c "$ASK" > "$T/clones/$1" 2> "$T/clones/$1.err" 3>&- || echo "exit code $?" >> "$T/clones/$1.err"
	date +%s.%N > "$T/clones/$1.after"
}

setup_file() {
	file_setup
	mkdir "$T/clones"
	run_vpod run --rm $IMAGE true # makes the template, if nobody has
	local n
	for ((n = 0; n < CLONES; n += AT_ONCE)); do
		for ((i = n; i < n + AT_ONCE && i < CLONES; i++)); do
			clone "$i" &
		done
		wait
	done
}

# answers KIND prints what the clones said of it, one line each.
answers() { sed -n "s/^$1 //p" "$T"/clones/*[0-9]; }

# all_different KIND: each clone gave an answer, and no two the same.
all_different() {
	assert "$(answers "$1" | wc -l)" -eq "$CLONES" "answers about $1"
	assert "$(answers "$1" | sort | uniq -d)" = "" "$1 of two clones"
}

@test "$CLONES machines from one template" {
	local err
	err=$(cat "$T"/clones/*.err)
	assert "$err" = "" "standard error of the clones"
	assert "$(ls "$T"/clones/*[0-9] | wc -l)" -eq "$CLONES"
}

@test "random numbers of all kinds differ" {
	all_different urandom
	all_different random
	all_different uuid
	all_different getrandom
	assert "$(answers urandom | head -n 1)" =~ '^[0-9a-f]{64}$'
	# Not only as a whole: no two clones share any eight bytes.
	assert "$({ answers urandom; answers random; } | fold -w 16 | sort | uniq -d)" = "" "eight bytes"
}

@test "boot id, address, host name and machine id differ" {
	all_different boot
	all_different mac
	all_different hostname
	assert "$(answers mac | grep -c '^52:54:00:00:00:01$' || true)" -eq 0 "the template's address"
	[ "$(answers machine-id | wc -l)" -eq 0 ] || all_different machine-id
}

@test "the layout of processes differs" {
	all_different auxv # addresses of the program and of the vdso, and 16 random bytes
	# Addresses are of few bits, and two may meet.
	for kind in stack vdso; do
		assert "$(answers "$kind" | wc -l)" -eq "$CLONES" "answers about the $kind"
		assert "$(answers "$kind" | sort -u | wc -l)" -ge $((CLONES - 2)) "places of the $kind"
	done
}

# between BEFORE TIME AFTER MARGIN_MS: the time lies there.
between() {
	awk -v a="$1" -v t="$2" -v b="$3" -v margin="$4" 'BEGIN {
		if (t !~ /^[0-9]+\.[0-9]+$/) exit 1
		early = (a - t) * 1000; late = (t - b) * 1000
		printf "%.1f ms after the first look, %.1f ms before the second\n", -early, -late
		exit !(early <= margin && late <= margin)
	}'
}

@test "the clocks of all of them are right at the start" {
	for ((n = 0; n < CLONES; n++)); do
		between "$(cat "$T/clones/$n.before")" "$(sed -n 's/^time //p' "$T/clones/$n")" "$(cat "$T/clones/$n.after")" 50 ||
			die "the clock of clone $n is off"
	done
}

# clock_off ARG...: run vpod with ARG... and a shell that tells the time when asked, and
# print by how many milliseconds its clock is off, by the quickest of 30 answers.
clock_off() {
	"$PYTHON" - "$VPOD" --root "$T/d" --runroot "$T/r" "$@" sh -c 'while read -r _; do echo $EPOCHREALTIME; done' <<-'PY'
		import subprocess, sys, time
		p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		answers = []
		for n in range(30):
		    before = time.time()
		    p.stdin.write(b"now\n")
		    p.stdin.flush()
		    told = float(p.stdout.readline())
		    after = time.time()
		    answers.append((after - before, told - (before + after) / 2))
		p.stdin.close()
		p.wait()
		took, off = min(answers[1:])
		sys.stderr.write("off by %.1f ms, known to within %.1f ms\n" % (off * 1000, took * 500))
		assert took < 0.04, "the host is too busy to tell"
		print(round(abs(off) * 1000))
	PY
}

# clock_within MS ARG...: it is off by no more.
clock_within() {
	local limit=$1
	shift
	logged "vpod$(printf ' %q' "$@")"
	capture clock_off "$@"
	[ "$status" -eq 0 ] || die "the clock cannot be looked at"
	assert "$output" -le "$limit" "ms by which the clock is off"
}

@test "the clock is within 50 ms of the host's at the start" {
	for options in "" "" "" "--machine microvm" "--template never"; do
		clock_within 50 run -i --rm --network none $options $IMAGE
	done
}

@test "the clock is within 100 ms of the host's after a minute" {
	run_vpod run --detach --name minute $IMAGE sleep 1000
	assert "$(inspect_field minute '{{.VM.Template}}')" =~ '^[0-9a-f]{16}$'
	sleep 60
	clock_within 100 exec -i minute
}

@test "getrandom and the interpreter's hash seed differ" {
	need_debian
	ctr=$(buildah from --quiet scratch)
	buildah add --quiet "$ctr" "$VPOD_TEST_DEBIAN" / > /dev/null
	buildah commit --quiet --rm "$ctr" localhost/debian:clones > /dev/null
	run_vpod run --rm --network none localhost/debian:clones true
	for n in $(seq 8); do
		"$VPOD" --root "$T/d" --runroot "$T/r" run --rm --network none localhost/debian:clones python3 -c '
import os, random, uuid
print("os", os.getrandom(32).hex())
print("blocking", os.getrandom(32, os.GRND_RANDOM).hex())
print("hash", hash("the same text"))
print("uuid4", uuid.uuid4())
print("seeded", random.random())' > "$T/clones/python.$n" 3>&- &
		[ $((n % 4)) -ne 0 ] || wait
	done
	wait
	for kind in os blocking hash uuid4 seeded; do
		found=$(sed -n "s/^$kind //p" "$T"/clones/python.* | sort -u)
		assert "$(wc -l <<< "$found")" -eq 8 "different answers about $kind"
	done
}

@test "a machine that restarts is another one" {
	run_vpod run --detach --name again $IMAGE sleep 1000
	for _ in 1 2; do
		run_vpod exec again sh -c 'cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1'
		said+=("$output")
		run_vpod restart --time 0 again
	done
	assert "$(printf '%s\n' "${said[@]}" | sort | uniq -d)" = ""
	run_vpod exec again cat /sys/class/net/eth0/address
	mac=$output
	run_vpod restart --time 0 again
	run_vpod exec again cat /sys/class/net/eth0/address
	assert "$output" = "$mac" "the address, which is the container's"
}
