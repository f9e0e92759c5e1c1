# What the suites share: a vpod of each file's own, assertions, and the check
# that nothing stays behind. Every suite begins with `load helpers`.
#
# A test says the exit code it expects first, as Podman's do:
#
#     run_vpod 125 run --pull never no-such-image true
#     assert "$stderr" =~ "no-such-image"
#
# run_vpod leaves $status, $output (standard output) and $stderr. Each command is
# written to the test's log with all it printed; bats shows the log of a test
# that fails.
#
# Variables from outside, all with defaults (see run-suite, which sets them):
#   VPOD             the binary; kernel and initramfs lie beside it
#   VPOD_TEST_DIR    a directory with a short name; each file works in its own below it
#   VPOD_TEST_IMAGE  the archive of the test image (hack/busybox-image)
#   VPOD_TEST_DEBIAN the archive of the Debian image, or VPOD_TEST_DEBIAN_WHY it is missing

IMAGE=localhost/busybox:test
VPOD_TIMEOUT=${VPOD_TIMEOUT:-120} # seconds for one command, on a busy machine without KVM
PYTHON=/usr/bin/python3           # Debian's: another user cannot run one from somebody's home
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

### Each file's own world ######################################################

# file_setup gives the file directories, configuration and an image store of its
# own in $T and loads the test image. Files that need more call it from their own
# setup_file.
file_setup() {
	local name
	name=$(basename "$BATS_TEST_FILENAME")
	if [ -z "${VPOD_TEST_DIR:-}" ]; then
		VPOD_TEST_DIR=$(mktemp -d /tmp/vpt-XXXXXX)
		export VPOD_TEST_DIR VPOD_TEST_DIR_MINE=yes
		mkdir -m 0700 "$VPOD_TEST_DIR"/{home,cache,run}
		export HOME=$VPOD_TEST_DIR/home XDG_CACHE_HOME=$VPOD_TEST_DIR/cache XDG_RUNTIME_DIR=$VPOD_TEST_DIR/run
	fi
	export VPOD=${VPOD:-$TESTS/../../build/vpod}
	T=$VPOD_TEST_DIR/${name%%-*} # unix socket names have 107 bytes
	export T
	mkdir -m 0700 "$T" "$T/tmp" "$T/conf" "$T/home"
	export TMPDIR=$T/tmp
	export HOME=$T/home # its policy.json is changed by some files, while others run
	unset XDG_DATA_HOME XDG_CONFIG_HOME REGISTRY_AUTH_FILE DOCKER_CONFIG CONTAINER_HOST

	# The store is that of --root for whoever reads storage.conf: vpod, buildah, skopeo, podman.
	cat > "$T/conf/storage.conf" <<-CONF
		[storage]
		driver = "overlay"
		graphroot = "$T/d"
		runroot = "$T/r"
	CONF
	printf 'unqualified-search-registries = []\nshort-name-mode = "disabled"\n' > "$T/conf/registries.conf"
	printf '[containers]\ndefault_sysctls = ["net.ipv4.ping_group_range=0 0"]\n' > "$T/conf/containers.conf" # as Debian's
	export CONTAINERS_STORAGE_CONF=$T/conf/storage.conf
	# For an ordinary user, Buildah does not take the store's place from there.
	mkdir -p "$T/bin"
	printf '#!/bin/sh\nexec %q --root %q --runroot %q --storage-driver overlay "$@"\n' "$(command -v buildah)" "$T/d" "$T/r" > "$T/bin/buildah"
	# What Podman keeps while the user is logged in, a process among it, is the file's own.
	mkdir -m 0700 "$T/podman"
	printf '#!/bin/sh\nXDG_RUNTIME_DIR=%q exec %q --root %q --runroot %q --storage-driver overlay "$@"\n' \
		"$T/podman" "$(command -v podman)" "$T/d" "$T/r" > "$T/bin/podman"
	chmod 0755 "$T/bin/buildah" "$T/bin/podman"
	export PATH=$T/bin:$PATH
	export CONTAINERS_REGISTRIES_CONF=$T/conf/registries.conf
	export CONTAINERS_CONF=$T/conf/containers.conf
	mkdir -p "$HOME/.config/containers"
	printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' > "$HOME/.config/containers/policy.json"

	if [ -z "${VPOD_TEST_IMAGE:-}" ]; then
		export VPOD_TEST_IMAGE=$VPOD_TEST_DIR/busybox.tar
		[ -e "$VPOD_TEST_IMAGE" ] || "$TESTS/../../hack/busybox-image" "$VPOD_TEST_IMAGE" "$IMAGE"
	fi
	vpod load --quiet --input "$VPOD_TEST_IMAGE" >/dev/null
}

# file_teardown removes what the file made and fails if vpod left anything.
file_teardown() {
	vpod rm --all --force --time 0 >/dev/null
	nothing_left "$T"
	stop_registry
	stop_podman
	remove_dir "$T"
	if [ -n "${VPOD_TEST_DIR_MINE:-}" ]; then
		remove_dir "$VPOD_TEST_DIR"
	fi
}

# stop_podman ends the process that holds an ordinary user's namespaces for Podman.
stop_podman() {
	local pause=$T/podman/libpod/tmp/pause.pid
	[ -s "$pause" ] || return 0
	pause=$(cat "$pause")
	kill "$pause"
	wait_until 10 is_gone "$pause"
}

# test_teardown removes the containers of one test, all but those named. What was
# noted about them goes into the log of a test that failed.
test_teardown() {
	local keep=" $* " name
	[ -n "${BATS_TEST_COMPLETED:-}${BATS_TEST_SKIPPED:-}" ] || show_journals
	for name in $(vpod ps --all --format '{{.Names}}'); do
		[[ $keep == *" $name "* ]] || vpod rm --force --time 0 "$name" >/dev/null
	done
}

# show_journals prints the end of what monitors and consoles said.
show_journals() {
	local file
	for file in "$T"/d/vpod/containers/*/{monitor,console}.log; do
		[ ! -s "$file" ] || tail -n 20 "$file" | cut -c -300 | sed "s,^,${file#"$T/d/vpod/containers/"}: ,"
	done
}

setup_file() { file_setup; }
teardown_file() { file_teardown; }
teardown() { test_teardown; }

is_rootless() { [ "$(id -u)" -ne 0 ]; }

# skip_if_rootless and skip_unless_rootless say why.
skip_if_rootless() { ! is_rootless || skip "needs root: $1"; }
skip_unless_rootless() { is_rootless || skip "for ordinary users: $1"; }

# need_debian skips what wants the Debian image; hack/bats makes it for files that have
# this word in them.
need_debian() {
	[ -n "${VPOD_TEST_DEBIAN:-}" ] || skip "no Debian image: ${VPOD_TEST_DEBIAN_WHY:-hack/bats makes it}"
}

# remove_dir removes a directory that may hold files of the user's subordinate ids
# and directories nobody may write to, as layers do.
remove_dir() {
	rm -rf "$1" 2>/dev/null || unshare --user --map-root-user --map-auto rm -rf "$1"
	[ ! -e "$1" ] || die "$1 could not be removed"
}

### Running vpod ###############################################################

# vpod runs it with the file's directories.
vpod() { "$VPOD" --root "$T/d" --runroot "$T/r" "$@"; }

# capture COMMAND...: run it and set $status, $output, $stderr and, of the output,
# $lines. Not bats's run, which makes a warning of exit code 127. Descriptor 3 is
# bats's own: whoever kept it would hold up the run.
capture() {
	status=0
	output=$("$@" 2> "$T/stderr" 3>&-) || status=$?
	stderr=$(cat "$T/stderr")
	lines=()
	[ -z "$output" ] || mapfile -t lines <<< "$output"
	log_result
}

# run_vpod [CODE] ARG...: run vpod and fail unless it ends with CODE (default 0);
# "?" takes any.
run_vpod() {
	local expected=0
	if [[ ${1:-} =~ ^([0-9]+|\?)$ ]]; then
		expected=$1
		shift
	fi
	logged "vpod$(printf ' %q' "$@")"
	capture timeout --foreground --kill-after=10 "$VPOD_TIMEOUT" "$VPOD" --root "$T/d" --runroot "$T/r" "$@"
	if [ "$status" -eq 124 ] && [ "$expected" != 124 ]; then
		die "vpod did not end within $VPOD_TIMEOUT s"
	fi
	[ "$expected" = "?" ] || [ "$status" -eq "$expected" ] || die "exit code is $status; expected $expected"
}

# run_logged COMMAND...: as run_vpod for any other command, which must succeed.
run_logged() {
	logged "$(printf '%q ' "$@")"
	capture timeout --foreground --kill-after=10 "$VPOD_TIMEOUT" "$@"
	[ "$status" -eq 0 ] || die "$1 ended with $status"
}

# start_vpod ARG...: run vpod in the background. Sets $started to its pid; its
# output is in $T/started.out and $T/started.err.
start_vpod() {
	logged "vpod$(printf ' %q' "$@") &"
	"$VPOD" --root "$T/d" --runroot "$T/r" "$@" > "$T/started.out" 2> "$T/started.err" 3>&- &
	started=$!
}

# ended [CODE]: wait for what start_vpod began and check its exit code.
ended() {
	status=0
	wait "$started" || status=$?
	output=$(cat "$T/started.out")
	stderr=$(cat "$T/started.err")
	log_result
	[ "$status" -eq "${1:-0}" ] || die "exit code is $status; expected ${1:-0}"
}

# on_terminal ARG...: run vpod on a pseudo-terminal; options of terminal.py come
# first, up to "--". $output is all it showed, with plain line ends.
on_terminal() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	run_logged "$PYTHON" "$TESTS/terminal.py" --timeout $((VPOD_TIMEOUT - 30)) "${options[@]}" -- \
		"$VPOD" --root "$T/d" --runroot "$T/r" "$@"
	output=${output//$'\r'/}
}

# store_name IMAGE prints skopeo's name of an image in that store.
store_name() { echo "containers-storage:[overlay@$T/d+$T/r]$1"; }

logged() { printf '%s %s\n' "$(is_rootless && echo '$' || echo '#')" "$*"; }

log_result() {
	[ -z "$output" ] || printf '%s\n' "$output" | cut -c -300 | sed '40{s/.*/…/;q}'
	[ -z "$stderr" ] || printf '%s\n' "$stderr" | cut -c -300 | sed '40{s/.*/…/;q}' | sed 's/^/2> /'
	[ "$status" -eq 0 ] || printf '[ exit code %d ]\n' "$status"
}

### Saying what is expected ####################################################

die() {
	printf 'FAIL: %s\n' "$*" >&2
	return 1
}

# assert ACTUAL OPERATOR EXPECTED [WHAT]: operators are = != =~ !~ (regular
# expressions of bash) and -eq -ne -lt -le -gt -ge.
assert() {
	local actual=$1 operator=$2 expected=$3 what=${4:-value} held=no
	case $operator in
	=) [ "$actual" = "$expected" ] && held=yes ;;
	!=) [ "$actual" != "$expected" ] && held=yes ;;
	=~) [[ $actual =~ $expected ]] && held=yes ;;
	!~) [[ ! $actual =~ $expected ]] && held=yes ;;
	-*) test "$actual" "$operator" "$expected" && held=yes ;;
	*) die "assert: unknown operator $operator" ;;
	esac
	[ "$held" = yes ] && return 0
	printf 'FAIL: %s\n  expected: %s %s\n    actual:   %s\n' "$what" "$operator" "$expected" "${actual//$'\n'/$'\n              '}" >&2
	return 1
}

# each_case FUNCTION: call it with the fields of each line of standard input,
# which are separated by "|"; empty lines and comments are passed over. "''" is
# an empty field.
each_case() {
	local lines line fields field
	mapfile -t lines
	for line in "${lines[@]}"; do
		[[ $line =~ ^[[:space:]]*(#|$) ]] && continue
		fields=()
		while IFS= read -r -d '|' field; do
			field=${field#"${field%%[![:space:]]*}"}
			field=${field%"${field##*[![:space:]]}"}
			[ "$field" != "''" ] || field=
			fields+=("$field")
		done <<< "$line|"
		echo "--- $line"
		"$1" "${fields[@]}" < /dev/null # not in a condition: there, its assertions would not stop it
	done
}

# wait_until SECONDS COMMAND...: repeat a command until it succeeds.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || die "waited in vain for: $*"
		sleep 0.1
	done
}

# inspect_field CONTAINER TEMPLATE prints one field.
inspect_field() { vpod inspect --type container --format "$2" "$1"; }

has_state() { [ "$(inspect_field "$1" '{{.State.Status}}')" = "$2" ]; }
log_has() { vpod logs "$1" 2>&1 | grep -q -e "$2"; }
# is_gone PID: it has ended; whether its parent took note does not matter.
is_gone() { ! kill -0 "$1" 2>/dev/null || grep -qs '^State:.Z' "/proc/$1/status"; }
file_has() { grep -q -e "$2" "$1" 2>/dev/null; }

### What is left ###############################################################

# machine_processes DIR prints the processes of vpod, and of those it starts,
# that name DIR on their command line or in their environment, with their children:
# "PID COMMAND".
machine_processes() {
	local pid exe parent seen=' '
	for pid in $(cd /proc && ls -d [0-9]* | sort -n); do # a parent before its children
		exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || exe=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
		case ${exe##*/} in
		vpod | qemu-* | virtiofsd | passt* | pasta* | mkfs.* | mke2fs | fuse-overlayfs* | slirp4netns | catatonit) ;;
		*) continue ;;
		esac
		parent=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status" 2>/dev/null) || continue
		if [[ $seen == *" $parent "* ]] || grep -qsF -e "$1/" "/proc/$pid/cmdline" || grep -qszF -e "=$1" "/proc/$pid/environ"; then
			seen+="$pid "
			printf '%s %s\n' "$pid" "$(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | cut -c -300)"
		fi
	done
}

# nothing_left DIR fails if vpod left processes, mounts, sockets, locks or
# temporary files of DIR. A monitor has a moment to go after its container.
nothing_left() {
	local dir=$1 left
	for _ in $(seq 50); do
		[ -n "$(machine_processes "$dir")" ] || break
		sleep 0.1
	done
	left=$(machine_processes "$dir")
	assert "$left" = "" "processes left"
	# containers/storage keeps its own directory mounted privately, as Podman does.
	left=$(awk -v dir="$dir/" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo | grep -vx "$dir/d/overlay" || true)
	assert "$left" = "" "mounts left"
	left=$(awk -v dir="$dir/" 'index($8, dir) == 1 {print $8}' /proc/net/unix)
	assert "$left" = "" "sockets in use"
	if [ -d "$dir/r/vpod" ]; then
		left=$(find "$dir/r/vpod" -mindepth 1 ! -type d)
		assert "$left" = "" "run files left"
	fi
	if [ -d "$dir/d/vpod/containers" ]; then
		left=$(ls -A "$dir/d/vpod/containers")
		assert "$left" = "" "container directories left"
	fi
	if [ -d "$dir/d/vpod" ]; then
		left=$(find "$dir/d/vpod" \( -name '*.tmp' -o -name '*.part' -o -name '.*' \) ! -type d ! -name '.lock' ! -name '*.lock')
		assert "$left" = "" "temporary files left"
	fi
	left=$(find "$dir/home" -mindepth 1 -path '*vpod*' ! -type d 2>/dev/null || true)
	assert "$left" = "" "files in the home directory"
	left=$(find "$dir/tmp" -mindepth 1 ! -name 'bats*' 2>/dev/null | grep -v /bats-run- || true)
	assert "$left" = "" "files left in TMPDIR"
}

### Helpers for the network ####################################################

# free_port prints a TCP and UDP port nobody listens on, on 127.0.0.1.
free_port() {
	"$PYTHON" - <<-'PY'
		import socket
		while True:
		    t, u = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
		    t.bind(("127.0.0.1", 0))
		    try:
		        u.bind(t.getsockname())
		    except OSError:
		        continue
		    print(t.getsockname()[1])
		    break
	PY
}

# start_registry starts Debian's docker-registry on a port of 127.0.0.1 and sets
# $REGISTRY to its address; registries.conf calls it insecure (plain HTTP). One that
# was stopped comes back where it was.
start_registry() {
	local port=${REGISTRY:-}
	port=${port##*:}
	for _ in 1 2 3; do
		port=${port:-$(free_port)}
		mkdir -p "$T/registry"
		cat > "$T/conf/registry.yml" <<-CONF
			version: 0.1
			log: {level: error, accesslog: {disabled: true}}
			storage: {filesystem: {rootdirectory: $T/registry}, delete: {enabled: true}}
			http: {addr: "127.0.0.1:$port"}
		CONF
		docker-registry serve "$T/conf/registry.yml" > "$T/conf/registry.log" 2>&1 3>&- &
		echo $! > "$T/conf/registry.pid"
		for _ in $(seq 100); do
			if (exec 7<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
				export REGISTRY=127.0.0.1:$port
				grep -qF "\"$REGISTRY\"" "$T/conf/registries.conf" ||
					printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" >> "$T/conf/registries.conf"
				return 0
			fi
			is_gone "$(cat "$T/conf/registry.pid")" && break
			sleep 0.1
		done
		port=
	done
	cat "$T/conf/registry.log" >&2
	die "docker-registry does not start"
}

# stop_registry stops it, if it was started.
stop_registry() {
	[ -e "$T/conf/registry.pid" ] || return 0
	local pid
	pid=$(cat "$T/conf/registry.pid")
	rm "$T/conf/registry.pid"
	kill "$pid" 2>/dev/null || return 0
	wait_until 10 is_gone "$pid"
}
