#!/usr/bin/env bash
# Builds the vpod guest kernel: an uncompressed ELF vmlinux that QEMU starts
# through its PVH entry.
#
#   build.sh OUT       put the kernel at OUT, from the cache or newly built
#   build.sh --needs   list the Debian packages a build needs, one per line
#
# Inputs: the `config` fragment beside this script, the script itself, and the
# installed version of Debian's linux-source package. Each result is cached
# under a name made of these, so a new fragment or an apt upgrade of the source
# brings a new build, and everything else does not. Without the package
# installed the newest cached result for this fragment and script is used: a
# machine that never builds kernels needs no kernel source.
#
# Environment:
#   VPOD_CACHE          directory of the cache (default: ~/.cache/vpod/kernel,
#                       or vpod/kernel under XDG_CACHE_HOME); may be absent
#   VPOD_LINUX_SOURCE   a linux-source tarball in place of Debian's; its
#                       checksum stands in for the package version; "none"
#                       builds nothing and serves from the cache alone
#   JOBS                parallel compilers (default: all processors)
#
# OUT and the cache entry are made aside and renamed; two builds at once wait
# for each other, and the second finds the first one's result. A killed build
# leaves a directory that the next one removes. Installs nothing.
set -euo pipefail

readonly package=linux-source-6.12
readonly needs=("$package" bc bison flex gcc libelf-dev make xz-utils)
readonly keep_days=90

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
cache=${VPOD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vpod/kernel}
cache=$(realpath -m -- "$cache")
readonly cache

say() { echo "kernel: $*" >&2; }
die() {
	say "$*"
	exit 1
}

# The part of a cache name that this checkout decides.
recipe_key() { cat "$here/config" "$here/build.sh" | sha256sum | cut -c1-16; }

# Prints the version of the source to build from, or nothing without source.
source_version() {
	if [ "${VPOD_LINUX_SOURCE:-}" = none ]; then
		return
	elif [ -n "${VPOD_LINUX_SOURCE:-}" ]; then
		[ -r "$VPOD_LINUX_SOURCE" ] || die "VPOD_LINUX_SOURCE: cannot read $VPOD_LINUX_SOURCE"
		sha256sum <"$VPOD_LINUX_SOURCE" | cut -c1-16
	elif [ -r "/usr/src/$package.tar.xz" ]; then
		dpkg-query -W -f '${Version}' "$package"
	fi
}

# Copies a cache entry to the path $2, unless that holds the same bytes.
deliver() {
	local entry=$1 out=$2 aside
	touch -c "$entry" 2>/dev/null || true # used today; somebody else's cache may be read-only
	if cmp -s "$entry/vmlinux" "$out"; then
		say "$out is up to date (${entry##*/})"
		return
	fi
	mkdir -p "$(dirname "$out")"
	aside=$(mktemp "$(dirname "$out")/.vmlinux.XXXXXX")
	if ! { cp "$entry/vmlinux" "$aside" && chmod 644 "$aside" && mv -fT "$aside" "$out"; }; then
		rm -f "$aside"
		die "cannot write $out"
	fi
	say "$out written (${entry##*/}, $(stat -c %s "$out") bytes)"
}

# Lists the lines of fragment $1 that .config $2 does not hold as written.
lines_not_taken() {
	awk '
		function name(line) { return line ~ /^#/ ? $2 : substr(line, 1, index(line, "=") - 1) }
		!/^CONFIG_/ && !/^# CONFIG_[A-Za-z0-9_]+ is not set$/ { next }
		NR == FNR { have[name($0)] = $0; next }
		/^#/ { if (name($0) in have && have[name($0)] !~ /^#/) print "wanted: " $0 "   got: " have[name($0)]; next }
		have[name($0)] != $0 { got = have[name($0)]; print "wanted: " $0 "   got: " (got == "" ? "nothing: unknown, or a dependency is off" : got) }
	' "$2" "$1"
}

# Runs a step of the build in the background, its output in the build log, so
# that a signal to this script ends it at once; says every half minute how far
# it is.
step() {
	local log=$work/build.log begin=$SECONDS next=30
	"$@" >>"$log" 2>&1 9>&- &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		sleep 0.2 9>&-
		if [ $((SECONDS - begin)) -ge $next ]; then
			say "  $((SECONDS - begin)) s, $(grep -c '^  [A-Z]' "$log") files made"
			next=$((next + 30))
		fi
	done
	if ! wait "$child"; then
		child=
		tail -n 30 "$log" >&2
		die "this step failed: $*"
	fi
	child=
}

child=
work=
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	[ -z "$child" ] || { kill "$child" 2>/dev/null && wait "$child" 2>/dev/null; } || true
	[ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Builds into the cache entry $1 from the source version $2. Holds the lock.
build() {
	local entry=$1 version=$2 tarball=${VPOD_LINUX_SOURCE:-/usr/src/$package.tar.xz} tool missing=()
	[ "$(uname -m)" = x86_64 ] || die "only x86_64 machines can build this kernel"
	for tool in gcc make bc bison flex xz objcopy; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] || die "missing ${missing[*]}: install the packages that '$0 --needs' lists"

	rm -rf "$cache"/.build.* # of builds that were killed: we hold the lock
	find "$cache" -mindepth 1 -maxdepth 1 -name '*_*' -mtime +$keep_days -exec rm -rf {} +
	work=$(mktemp -d "$cache/.build.XXXXXX")

	say "building ${entry##*/}: some minutes, once"
	say "unpacking $tarball"
	mkdir "$work/src"
	# A third of the tree is register lists of graphics cards.
	step tar -xJf "$tarball" -C "$work/src" --strip-components=1 --exclude='*/drivers/gpu/drm/amd/include'
	cd "$work/src"

	# The same bytes for the same inputs, whoever builds wherever.
	KBUILD_BUILD_TIMESTAMP=$(date -u -r Makefile '+%Y-%m-%d %H:%M:%S UTC')
	export LC_ALL=C KBUILD_BUILD_USER=vpod KBUILD_BUILD_HOST=vpod KBUILD_BUILD_VERSION=1 KBUILD_BUILD_TIMESTAMP
	unset MAKEFLAGS MFLAGS MAKELEVEL KCONFIG_CONFIG ARCH CROSS_COMPILE

	say "configuring"
	step make KCONFIG_ALLCONFIG="$here/config" allnoconfig
	local lost
	lost=$(lines_not_taken "$here/config" .config)
	if [ -n "$lost" ]; then
		echo "$lost" >&2
		die "the kernel configuration did not take these lines of $here/config"
	fi

	say "compiling with ${JOBS:=$(nproc)} jobs"
	step make "-j$JOBS" vmlinux

	mkdir "$work/entry"
	step objcopy --strip-all vmlinux "$work/entry/vmlinux"
	cp .config "$work/entry/config"
	printf '%s\n' "$package $version" "$(gcc --version | head -n 1)" "$(ld --version | head -n 1)" \
		>"$work/entry/built-with"
	chmod 755 "$work/entry"
	cd "$cache"
	mv -T "$work/entry" "$entry"
	rm -rf "$work"
	work=
}

main() {
	case ${1:-} in
	--needs)
		printf '%s\n' "${needs[@]}"
		return
		;;
	'' | -*)
		sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$here/build.sh" >&2
		exit 2
		;;
	esac
	local out key version entry
	out=$(realpath -m -- "$1")
	key=$(recipe_key)
	version=$(source_version)

	if [ -z "$version" ]; then
		entry=$({ [ ! -d "$cache" ] || find "$cache" -mindepth 1 -maxdepth 1 -name "${key}_*"; } | sort -V | tail -n 1)
		[ -n "$entry" ] || die "no kernel source and no cached kernel: install $package and the other packages that '$0 --needs' lists"
		deliver "$entry" "$out"
		return
	fi

	entry=$cache/${key}_$version
	if [ ! -d "$entry" ]; then
		mkdir -p "$cache"
		exec 9>"$cache/.lock"
		flock -n 9 || {
			say "waiting for another build"
			flock 9
		}
		[ -d "$entry" ] || build "$entry" "$version"
		exec 9>&-
	fi
	deliver "$entry" "$out"
}

main "$@"
exit # and read no further: the file may have changed meanwhile
