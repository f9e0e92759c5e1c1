# Registries of other kinds than the plain one of helpers.bash, for the suites that
# `load registry` after it.

# start_locked_registry starts one that speaks TLS and wants user me, password
# secret. Sets $LOCKED to its address; its certificate is $T/certs/ca.crt.
start_locked_registry() {
	local port
	mkdir -p "$T/locked" "$T/certs" "$T/private"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$T/private/key.pem" -out "$T/certs/ca.crt" 2>/dev/null
	# bcrypt of "secret"
	echo "me:\$2a\$05\$0w7V9N89KVG3D6tmkv7IL.RkRld7GDlUaQ9nYJi6gXSZ1fbJWAGLm" > "$T/private/htpasswd"
	for _ in 1 2 3; do
		port=$(free_port)
		cat > "$T/conf/locked.yml" <<-CONF
			version: 0.1
			log: {level: error, accesslog: {disabled: true}}
			storage: {filesystem: {rootdirectory: $T/locked}}
			auth: {htpasswd: {realm: test, path: $T/private/htpasswd}}
			http: {addr: "127.0.0.1:$port", tls: {certificate: $T/certs/ca.crt, key: $T/private/key.pem}}
		CONF
		docker-registry serve "$T/conf/locked.yml" > "$T/conf/locked.log" 2>&1 3>&- &
		echo $! > "$T/conf/locked.pid"
		if wait_until 10 listens "$port"; then
			export LOCKED=127.0.0.1:$port
			return 0
		fi
	done
	cat "$T/conf/locked.log" >&2
	die "docker-registry with TLS does not start"
}

listens() { (exec 7<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start_bad_registry KIND starts one in front of $REGISTRY that misbehaves as
# bad-registry.py says, the first times; sets $BAD to its address.
start_bad_registry() {
	local port
	port=$(free_port)
	"$PYTHON" "$TESTS/bad-registry.py" "$port" "$REGISTRY" "$@" > "$T/conf/bad.log" 2>&1 3>&- &
	echo $! >> "$T/conf/bad.pids"
	wait_until 10 listens "$port"
	export BAD=127.0.0.1:$port
	printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$BAD" >> "$T/conf/registries.conf"
}

# stop_registries stops all that this file started.
stop_registries() {
	local file pid
	for file in "$T"/conf/locked.pid "$T"/conf/bad.pids; do
		[ -e "$file" ] || continue
		while read -r pid; do
			kill "$pid" 2>/dev/null || continue
			wait_until 10 is_gone "$pid"
		done < "$file"
		rm "$file"
	done
}

# with_policy JSON COMMAND...: run a command while policy.json says this. Its
# failure is not hidden.
with_policy() {
	local result=0 policy=$HOME/.config/containers/policy.json
	cp "$policy" "$T/conf/policy.saved"
	printf '%s\n' "$1" > "$policy"
	shift
	"$@" || result=$?
	cp "$T/conf/policy.saved" "$policy"
	return "$result"
}
