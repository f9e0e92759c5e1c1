#!/usr/bin/env bats
# Much data through standard streams, and clients that are slow or dead.

load helpers

@test "seq 1 200000 | vpod run -i IMAGE md5sum" {
	expected=$(seq 1 200000 | md5sum)
	run_logged bash -c "seq 1 200000 | '$VPOD' --root '$T/d' --runroot '$T/r' run -i --rm --network none $IMAGE md5sum"
	assert "$output" = "$expected"
}

@test "64 MiB in and out are byte-exact" {
	head -c 64M /dev/urandom > "$T/in"
	vpod run -i --rm --network none --log-driver none $IMAGE cat < "$T/in" > "$T/out"
	cmp "$T/in" "$T/out"
	rm "$T/out"
	# Only in, and only out.
	run_logged bash -c "'$VPOD' --root '$T/d' --runroot '$T/r' run -i --rm --network none --log-driver none $IMAGE md5sum < '$T/in'"
	assert "$output" = "$(md5sum < "$T/in")"
	assert "$(vpod run --rm --network none --log-driver none $IMAGE sh -c 'yes 0123456789abcdef | head -c 67108864' | md5sum)" = "$(yes 0123456789abcdef | head -c 67108864 | md5sum)"
	rm "$T/in"
}

@test "standard error is as exact as standard output, both at once" {
	vpod run --rm --network none $IMAGE sh -c 'seq 1 100000 & seq 100001 200000 >&2; wait' > "$T/out" 2> "$T/err"
	assert "$(md5sum < "$T/out")" = "$(seq 1 100000 | md5sum)"
	assert "$(md5sum < "$T/err")" = "$(seq 100001 200000 | md5sum)"
}

@test "the log is as exact as what was attached" {
	vpod run --name logged --network none $IMAGE seq 1 50000 > "$T/out"
	cmp "$T/out" <(vpod logs logged)
}

@test "a reader that goes away: the container runs on" {
	run_vpod run --detach --name yes --log-driver none --network none $IMAGE sh -c 'n=0; while :; do echo line; n=$((n+1)); [ $n -lt 20000 ] || { sleep 0.05; }; done'
	vpod attach yes < /dev/null | head -n 100 > "$T/head"
	assert "$(wc -l < "$T/head")" -eq 100
	has_state yes running
	run_vpod exec yes true
}

@test "a stopped client holds up neither the container nor the log" {
	run_vpod run --detach --name busy --network none $IMAGE sh -c 'sleep 3; seq 1 300000; echo finished; sleep 1000'
	vpod attach --no-stdin busy > "$T/slow" 2>&1 3>&- &
	sleep 1
	kill -STOP $!
	wait_until 90 log_has busy finished
	vpod logs busy > "$T/log"
	assert "$(head -n 300000 "$T/log" | md5sum)" = "$(seq 1 300000 | md5sum)"
	run_vpod stop --time 0 busy
	kill -CONT $!
	wait $! || true
	rm "$T/slow" "$T/log"
}

@test "a dead client holds up neither the container nor the log" {
	run_vpod run --detach --name busy --network none $IMAGE sh -c 'sleep 2; seq 1 300000; echo finished; sleep 1000'
	vpod attach --no-stdin busy > "$T/dead" 2>&1 3>&- &
	sleep 1
	kill -KILL $!
	wait $! 2>/dev/null || true
	wait_until 90 log_has busy finished
	assert "$(vpod logs busy | head -n 300000 | md5sum)" = "$(seq 1 300000 | md5sum)"
}

@test "input that nobody reads, and input that comes late" {
	run_vpod run -i --rm --network none $IMAGE true < <(head -c 20M /dev/zero)
	run_vpod run -i --rm --network none $IMAGE head -c 5 < <(head -c 20M /dev/zero | tr '\0' x)
	assert "$output" = xxxxx
	run_vpod run -i --rm --network none $IMAGE cat < <(sleep 3; echo late)
	assert "$output" = late
}
