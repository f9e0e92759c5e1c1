#!/usr/bin/env bats
# Many at once.
# alone

load helpers

@test "20 containers at once: ps, inspect and logs stay right, all stop cleanly" {
	for n in $(seq 20); do
		vpod run --detach --name "c$n" -m 64m --network none $IMAGE sh -c "trap 'echo bye $n; exit $n' TERM; echo hello $n; while :; do sleep 0.2; done" > "$T/run$n" 2>&1 3>&- &
		pids[n]=$!
	done
	# While they start, every answer is consistent.
	for _ in $(seq 15); do
		run_vpod ps --all --format '{{.Names}} {{.State}}'
		assert "$(grep -vcE '^c[0-9]+ (created|starting|running)$' <<< "$output" || true)" -le 1 "odd lines"
		for name in $(awk '$2 == "running" {print $1}' <<< "$output" | head -n 3); do
			assert "$(inspect_field "$name" '{{.State.Running}}')" = true
			run_vpod logs "$name"
		done
		sleep 0.3
	done
	for n in $(seq 20); do
		wait "${pids[$n]}" || die "run $n: $(cat "$T/run$n")"
	done
	run_vpod ps --quiet
	assert "${#lines[@]}" -eq 20 "running containers"
	for n in $(seq 20); do
		wait_until 60 log_has "c$n" "hello $n"
	done
	assert "$(machine_processes "$T" | grep -c ' .*qemu-system')" -eq 20 "machines"
	run_vpod exec c7 hostname

	vpod stop --all --time 60 > "$T/stop" 2>&1 3>&- &
	stopping=$!
	while kill -0 "$stopping" 2>/dev/null; do
		run_vpod ps --all --format '{{.Names}} {{.State}}'
		assert "${#lines[@]}" -eq 20
		assert "$(grep -vE '^c[0-9]+ (running|stopping|exited)$' <<< "$output" || true)" = "" "odd lines"
		sleep 0.3
	done
	wait "$stopping" || die "$(cat "$T/stop")"
	for n in $(seq 20); do
		assert "$(inspect_field "c$n" '{{.State.Status}} {{.State.ExitCode}}')" = "exited $n"
		assert "$(vpod logs "c$n" | tail -n 1)" = "bye $n"
	done
	assert "$(machine_processes "$T")" = "" "processes"
	run_vpod rm --all
	rm "$T"/run* "$T/stop"
	nothing_left "$T"
}

@test "50 processes create, list and remove at once: no failure" {
	for n in $(seq 50); do
		(
			for round in 1 2 3; do
				vpod create --name "n$n-$round" --network none $IMAGE true && vpod ps --all && vpod rm "n$n-$round" || exit 1
			done
		) > "$T/many$n" 2>&1 3>&- &
		pids[n]=$!
	done
	failed=0
	for n in $(seq 50); do
		wait "${pids[$n]}" || {
			failed=$((failed + 1))
			grep -m 3 -iE 'error|panic' "$T/many$n" >&2 || true
		}
	done
	assert "$failed" -eq 0 "processes that failed"
	run_vpod ps --all --quiet
	assert "$output" = ""
	rm "$T"/many*
	nothing_left "$T"
}

@test "one image, never converted: five at once convert it once" {
	run_vpod rmi --force $IMAGE
	run_vpod load --quiet --input "$VPOD_TEST_IMAGE"
	for n in 1 2 3 4 5; do
		vpod run --rm --network none $IMAGE echo "$n" > "$T/first$n" 2>&1 3>&- &
		pids[n]=$!
	done
	for n in 1 2 3 4 5; do
		wait "${pids[$n]}" || die "$(cat "$T/first$n")"
	done
	assert "$(find "$T/d/vpod/images" -type f ! -name '*.lock' | wc -l)" -eq 1 "root disks"
	rm "$T"/first?
}

@test "ps is quick with 50 containers" {
	for n in $(seq 50); do
		vpod create --name "p$n" --network none $IMAGE true > /dev/null
	done
	start=$(date +%s%N)
	for _ in $(seq 10); do
		vpod ps --all > /dev/null
	done
	took=$(((($(date +%s%N) - start)) / 10000000))
	echo "ps of 50 containers: $took ms"
	assert "$took" -lt 250 "milliseconds"
	run_vpod rm --all
}
