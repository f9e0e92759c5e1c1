#!/usr/bin/env bats
# vpod push, login and logout, against Debian's docker-registry, plain and with TLS
# and a password; and that podman and skopeo read what was pushed.

load helpers
load registry

setup_file() {
	file_setup
	start_registry
	start_locked_registry
	export REGISTRY_AUTH_FILE=$T/conf/auth.json
}

teardown_file() {
	stop_registries
	file_teardown
}

setup() { echo '{}' > "$T/conf/auth.json"; }

layers_of() { skopeo inspect --tls-verify=false --raw "docker://$1" | grep -o '"mediaType": *"[^"]*layer[^"]*"\|"mediaType":"[^"]*layer[^"]*"' | sort -u; }

@test "vpod push: to a registry, and back" {
	run_vpod push --digestfile "$T/digest" $IMAGE "$REGISTRY/test/pushed:1"
	assert "$output" = "" "standard output"
	assert "$stderr" =~ "Copying blob"
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/test/pushed:1")
	assert "$(cat "$T/digest")" = "$digest"
	run_vpod tag $IMAGE "$REGISTRY/test/named:2"
	run_vpod push --quiet "$REGISTRY/test/named:2"
	assert "$stderr" = ""
	run_vpod rmi "$REGISTRY/test/named:2"
	run_vpod run --rm --network none "$REGISTRY/test/named:2" cat /etc/motd
	assert "$output" = "vpod demo image"
	run_vpod rmi "$REGISTRY/test/named:2"
	run_logged podman --root "$T/p" --runroot "$T/pr" --storage-driver vfs pull --quiet --tls-verify=false "$REGISTRY/test/pushed:1"
	run_logged podman --root "$T/p" --runroot "$T/pr" --storage-driver vfs rmi --all --force
}

compressed() { # FORMAT | LAYERS
	run_vpod push --quiet --format oci --compression-format "$1" --force-compression $IMAGE "$REGISTRY/test/${1//:/-}:1"
	assert "$(layers_of "$REGISTRY/test/${1//:/-}:1")" =~ "$2"
	run_vpod pull --quiet "$REGISTRY/test/${1//:/-}:1"
	run_vpod run --rm --network none "$output" cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "vpod push --compression-format" {
	each_case compressed <<-'TABLE'
		gzip         | tar.gzip
		zstd         | tar.zstd
		zstd:chunked | tar.zstd
	TABLE
	run_logged skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/test/zstd-chunked:1"
	assert "$output" =~ "io.github.containers.zstd-chunked"
	run_vpod 125 push --compression-level 3 $IMAGE "$REGISTRY/test/x:1"
	assert "$stderr" =~ "--compression-format"
}

@test "vpod push --format" {
	run_vpod push --quiet --format v2s2 $IMAGE "$REGISTRY/test/docker:1"
	run_logged skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/test/docker:1"
	assert "$output" =~ "application/vnd.docker.distribution.manifest.v2"
	run_vpod push --quiet --format oci $IMAGE "$REGISTRY/test/oci:1"
	run_logged skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/test/oci:1"
	assert "$output" =~ "application/vnd.oci.image.config.v1"
}

destination() { # DESTINATION
	run_vpod push --quiet $IMAGE "${1//DIR/$T}"
	run_vpod pull --quiet "${1//DIR/$T}"
	assert "$output" =~ '^[0-9a-f]{64}$'
}

@test "vpod push: every transport" {
	each_case destination <<-'TABLE'
		oci:DIR/out-oci:name
		oci-archive:DIR/out-oci.tar
		docker-archive:DIR/out-docker.tar
		dir:DIR/out-dir
	TABLE
	rm -rf "$T"/out-*
}

refused() { # ERROR | ARG...
	run_vpod 125 push ${2//REGISTRY/$REGISTRY}
	assert "$stderr" =~ $1
}

@test "vpod push: what cannot be done is named" {
	each_case refused <<-TABLE
		no-such-image      | no-such-image REGISTRY/x:1
		nosuch:a:b:c       | $IMAGE nosuch:a:b:c
		encryption-key     | --encrypt-layer 0 $IMAGE REGISTRY/x:1
		valid.value        | --format v3 $IMAGE REGISTRY/x:1
		localhost/busybox  | $IMAGE
		No.secret.key      | --sign-by nobody@example.com $IMAGE REGISTRY/x:1
		no/such/key        | --sign-by-sigstore-private-key /no/such/key --sign-passphrase-file /dev/null $IMAGE REGISTRY/x:1
	TABLE
}

@test "vpod login: keeps what the registry takes, for all tools; logout forgets it" {
	run_vpod 125 push --cert-dir "$T/certs" $IMAGE "$LOCKED/test/busybox:1"
	assert "$stderr" =~ "vpod login"
	run_vpod 125 login --cert-dir "$T/certs" --username me --password guess "$LOCKED"
	assert "$stderr" =~ "invalid username/password"
	assert "$(cat "$T/conf/auth.json")" !~ "$LOCKED"
	run_vpod 125 login --username me --password secret "$LOCKED"
	assert "$stderr" =~ "--cert-dir" "a certificate nobody trusts"
	logged "vpod login --password-stdin"
	echo secret > "$T/secret"
	output=$(vpod login --cert-dir "$T/certs" --username me --password-stdin "$LOCKED" < "$T/secret")
	assert "$output" = "Login Succeeded!"
	run_vpod login --get-login "$LOCKED"
	assert "$output" = me
	run_logged podman login --get-login "$LOCKED"
	assert "$output" = me
	run_vpod push --quiet --cert-dir "$T/certs" $IMAGE "$LOCKED/test/busybox:1"
	run_vpod pull --quiet --cert-dir "$T/certs" "$LOCKED/test/busybox:1"
	run_logged skopeo inspect --cert-dir "$T/certs" --format '{{.Name}}' "docker://$LOCKED/test/busybox:1"
	run_vpod logout "$LOCKED"
	assert "$output" = "Removed login credentials for $LOCKED"
	run_vpod 125 login --get-login "$LOCKED"
	run_vpod 125 logout "$LOCKED"
	assert "$stderr" =~ "not logged in"
	run_vpod 125 pull --cert-dir "$T/certs" "$LOCKED/test/busybox:1"
	run_vpod pull --quiet --cert-dir "$T/certs" --creds me:secret "$LOCKED/test/busybox:1"
	run_vpod run --rm --pull always --network none --tls-verify=false --creds me:secret "$LOCKED/test/busybox:1" cat /etc/motd
	assert "$output" = "vpod demo image"
}

@test "vpod login: on a terminal" {
	cat > "$T/answer.py" <<-'PY'
		import os, pty, sys, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[1], sys.argv[1:])
		text, answers = b"", [(b"Username: ", b"me\n"), (b"Password: ", b"secret\n")]
		while True:
		    try:
		        got = os.read(fd, 4096)
		    except OSError:
		        break
		    if not got:
		        break
		    text += got
		    if answers and text.endswith(answers[0][0]):
		        time.sleep(0.3)
		        os.write(fd, answers.pop(0)[1])
		print(text.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PY
	run_logged "$PYTHON" "$T/answer.py" "$VPOD" --root "$T/d" --runroot "$T/r" login --cert-dir "$T/certs" "$LOCKED"
	assert "$output" =~ "Login Succeeded!"
	assert "$output" !~ "secret" "the password is not shown"
	run_vpod login --cert-dir "$T/certs" "$LOCKED"
	assert "$output" =~ "Already logged in"
	run_vpod logout --all
	run_vpod 125 login "$LOCKED" < /dev/null
}

@test "vpod login: a credential helper" {
	cat > "$T/bin/docker-credential-vpodtest" <<-SH
		#!/bin/sh
		case \$1 in
		store) cat > "$T/helper.json" ;;
		get) [ -e "$T/helper.json" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$T/helper.json" ;;
		erase) rm -f "$T/helper.json" ;;
		list) echo '{}' ;;
		esac
	SH
	chmod 0755 "$T/bin/docker-credential-vpodtest"
	{ echo 'credential-helpers = ["vpodtest"]'; cat "$T/conf/registries.conf"; } > "$T/conf/helper.conf"
	export CONTAINERS_REGISTRIES_CONF=$T/conf/helper.conf
	run_vpod login --verbose --cert-dir "$T/certs" --username me --password secret "$LOCKED"
	assert "$(cat "$T/helper.json")" =~ '"Secret":"secret"'
	run_vpod push --quiet --cert-dir "$T/certs" $IMAGE "$LOCKED/test/helped:1"
	run_vpod logout "$LOCKED"
	[ ! -e "$T/helper.json" ]
}

@test "vpod pull --all-tags" {
	for tag in 1 2; do
		run_vpod push --quiet $IMAGE "$REGISTRY/test/tags:$tag"
	done
	run_vpod pull --quiet --all-tags "$REGISTRY/test/tags"
	run_vpod image exists "$REGISTRY/test/tags:1"
	run_vpod image exists "$REGISTRY/test/tags:2"
	run_vpod rmi "$REGISTRY/test/tags:1" "$REGISTRY/test/tags:2"
}

bad() { # KIND
	start_bad_registry "$1" 1
	rm -rf "$T/bd" "$T/br"
	capture "$VPOD" --root "$T/bd" --runroot "$T/br" pull --retry-delay 100ms "$BAD/test/pushed:1"
	assert "$status" -eq 0 "$1 once"
	[ "$1" != error ] || assert "$stderr" =~ "retrying" # a connection that breaks is taken up where it broke
	remove_dir "$T/bd"
	start_bad_registry "$1"
	capture "$VPOD" --root "$T/bd" --runroot "$T/br" pull --retry 1 --retry-delay 100ms "$BAD/test/pushed:1"
	assert "$status" -eq 125 "$1 for ever"
	assert "$stderr" =~ $2
	capture "$VPOD" --root "$T/bd" --runroot "$T/br" images --quiet --all
	assert "$output" = ""
	remove_dir "$T/bd"
}

@test "vpod pull: a registry that answers 500, or breaks off, is tried again" {
	run_vpod push --quiet $IMAGE "$REGISTRY/test/pushed:1"
	each_case bad <<-'TABLE'
		error    | 500
		truncate | EOF
	TABLE
}

@test "vpod push, pull: encrypted layers" {
	for k in right wrong; do
		openssl genrsa -out "$T/$k.pem" 2048 2>/dev/null
		openssl rsa -in "$T/$k.pem" -pubout -out "$T/$k.pub" 2>/dev/null
	done
	run_vpod push --quiet --encryption-key "jwe:$T/right.pub" $IMAGE "$REGISTRY/test/secret:1"
	assert "$(layers_of "$REGISTRY/test/secret:1")" =~ "encrypted"
	capture "$VPOD" --root "$T/ed" --runroot "$T/er" pull --quiet "$REGISTRY/test/secret:1"
	assert "$status" -eq 125
	assert "$stderr" =~ "--decryption-key"
	capture "$VPOD" --root "$T/ed" --runroot "$T/er" pull --quiet --decryption-key "$T/wrong.pem" "$REGISTRY/test/secret:1"
	assert "$status" -eq 125
	capture "$VPOD" --root "$T/ed" --runroot "$T/er" images --quiet --all
	assert "$output" = ""
	capture "$VPOD" --root "$T/ed" --runroot "$T/er" run --rm --network none --decryption-key "$T/right.pem" "$REGISTRY/test/secret:1" cat /etc/motd
	assert "$status" -eq 0
	assert "$output" = "vpod demo image"
	remove_dir "$T/ed"
}
