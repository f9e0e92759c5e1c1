#!/usr/bin/env bats
# Signatures: made by push, image copy and image sign, and obeyed by pull, run and
# image copy as policy.json says. The keys are real ones.

load helpers
load registry

setup_file() {
	file_setup
	start_registry
	export GNUPGHOME=$T/g # gpg's agent has a socket there
	mkdir -m 0700 "$GNUPGHOME"
	for who in release other; do
		gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key "$who@example.com" rsa2048 sign never 2>/dev/null
		gpg --batch --export "$who@example.com" > "$T/$who.gpg"
	done
	gpg --batch --quiet --pinentry-mode loopback --passphrase secret --quick-generate-key "locked@example.com" rsa2048 sign never 2>/dev/null
	gpgconf --kill gpg-agent
	gpg --batch --export locked@example.com > "$T/locked.gpg"
	mkdir -p "$HOME/.config/containers/registries.d" "$T/sigstore"
	cat > "$HOME/.config/containers/registries.d/test.yaml" <<-YAML
		docker:
		  $REGISTRY:
		    lookaside: file://$T/sigstore
		    use-sigstore-attachments: true
	YAML
	echo secret > "$T/passphrase"
}

teardown_file() {
	gpgconf --kill gpg-agent
	rm -r "$HOME/.config/containers/registries.d"
	file_teardown
}

# policies for the test registry; everything else is accepted
gpg_policy() { echo '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"'"$REGISTRY"'":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"'"$T/$1.gpg"'"}]}}}'; }
sigstore_policy() { echo '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"'"$REGISTRY"'":[{"type":"sigstoreSigned","keyPath":"'"$TESTS/keys/$1.pub"'","signedIdentity":{"type":"matchRepository"}}]}}}'; }

accepted() { with_policy "$1" run_vpod pull --quiet "$2"; }

denied() {
	with_policy "$1" run_vpod 125 pull --quiet "$2"
	assert "$stderr" =~ "${3:-policy.json}"
}

@test "GPG: the right signature is accepted, the wrong one and none are refused" {
	run_vpod push --quiet --remove-signatures --sign-by release@example.com $IMAGE "$REGISTRY/test/gpg:1"
	run_vpod push --quiet --remove-signatures --sign-by other@example.com --format v2s2 $IMAGE "$REGISTRY/test/gpg-other:1"
	run_vpod push --quiet --remove-signatures $IMAGE "$REGISTRY/test/unsigned:1"
	accepted "$(gpg_policy release)" "$REGISTRY/test/gpg:1"
	accepted "$(gpg_policy other)" "$REGISTRY/test/gpg-other:1"
	denied "$(gpg_policy other)" "$REGISTRY/test/gpg:1"
	denied "$(gpg_policy release)" "$REGISTRY/test/gpg-other:1"
	denied "$(gpg_policy release)" "$REGISTRY/test/unsigned:1" "signature was required"
	run_vpod 125 push --quiet $IMAGE "$REGISTRY/test/kept:1"
	assert "$stderr" =~ "--remove-signatures"
	denied '{"default":[{"type":"reject"}]}' "$REGISTRY/test/gpg:1" "rejected by policy"
}

@test "GPG: podman accepts what vpod signed, and vpod what skopeo signed" {
	run_vpod push --quiet --remove-signatures --sign-by release@example.com $IMAGE "$REGISTRY/test/gpg:2"
	with_policy "$(gpg_policy release)" run_logged skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY/test/gpg:2" "dir:$T/verified"
	if with_policy "$(gpg_policy other)" skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY/test/gpg:2" "dir:$T/verified2"; then
		die "skopeo takes a wrong signature"
	fi
	run_logged skopeo copy --quiet --dest-tls-verify=false --sign-by release@example.com --remove-signatures "docker-archive:$VPOD_TEST_IMAGE" "docker://$REGISTRY/test/theirs:1"
	accepted "$(gpg_policy release)" "$REGISTRY/test/theirs:1"
	denied "$(gpg_policy other)" "$REGISTRY/test/theirs:1"
}

@test "GPG: a passphrase from a file; two signatures of one image" {
	run_vpod push --quiet --remove-signatures --sign-by locked@example.com --sign-passphrase-file "$T/passphrase" $IMAGE "$REGISTRY/test/locked:1"
	accepted "$(gpg_policy locked)" "$REGISTRY/test/locked:1"
	gpgconf --kill gpg-agent
	echo wrong > "$T/wrong"
	run_vpod 125 push --quiet --remove-signatures --sign-by locked@example.com --sign-passphrase-file "$T/wrong" $IMAGE "$REGISTRY/test/locked:2"
	assert "$stderr" =~ [Pp]assphrase
	run_vpod push --quiet --remove-signatures --sign-by release@example.com $IMAGE "$REGISTRY/test/locked:1"
	accepted "$(gpg_policy locked)" "$REGISTRY/test/locked:1"
	accepted "$(gpg_policy release)" "$REGISTRY/test/locked:1"
}

@test "sigstore: the right signature is accepted, the wrong one and none are refused" {
	run_vpod push --quiet --remove-signatures --sign-by-sigstore-private-key "$TESTS/keys/release.key" --sign-passphrase-file "$T/passphrase" $IMAGE "$REGISTRY/test/sigstore:1"
	printf 'privateKeyFile: %s\nprivateKeyPassphraseFile: %s\n' "$TESTS/keys/other.key" "$T/passphrase" > "$T/sign.yaml"
	run_vpod image copy --quiet --sign-by-sigstore "$T/sign.yaml" "docker-archive:$VPOD_TEST_IMAGE" "docker://$REGISTRY/test/sigstore-other:1"
	accepted "$(sigstore_policy release)" "$REGISTRY/test/sigstore:1"
	accepted "$(sigstore_policy other)" "$REGISTRY/test/sigstore-other:1"
	denied "$(sigstore_policy other)" "$REGISTRY/test/sigstore:1"
	denied "$(sigstore_policy release)" "$REGISTRY/test/sigstore-other:1"
	run_vpod push --quiet --remove-signatures $IMAGE "$REGISTRY/test/unsigned:2"
	denied "$(sigstore_policy release)" "$REGISTRY/test/unsigned:2" "signature"
	run_vpod 125 push --quiet --remove-signatures --sign-by-sigstore-private-key "$TESTS/keys/release.key" --sign-passphrase-file "$T/wrong" $IMAGE "$REGISTRY/test/x:1"
	run_vpod 125 push --quiet --remove-signatures --sign-by-sigstore-private-key "$TESTS/keys/release.key" $IMAGE "$REGISTRY/test/x:1"
	assert "$stderr" =~ "--sign-passphrase-file"
}

@test "run and image copy obey the policy, too; --remove-signatures" {
	run_vpod push --quiet --remove-signatures --sign-by release@example.com $IMAGE "$REGISTRY/test/run:1"
	with_policy "$(gpg_policy other)" run_vpod 125 run --rm --network none --pull always "$REGISTRY/test/run:1" true
	assert "$stderr" =~ "policy.json"
	with_policy "$(gpg_policy other)" run_vpod 125 image copy "docker://$REGISTRY/test/run:1" "dir:$T/x"
	assert "$stderr" =~ "policy.json"
	with_policy "$(gpg_policy release)" run_vpod run --rm --network none --pull always "$REGISTRY/test/run:1" cat /etc/motd
	assert "$output" = "vpod demo image"
	run_vpod image copy --quiet "docker://$REGISTRY/test/run:1" "dir:$T/signed"
	[ -e "$T/signed/signature-1" ]
	run_vpod image copy --quiet --remove-signatures "docker://$REGISTRY/test/run:1" "dir:$T/bare"
	[ ! -e "$T/bare/signature-1" ]
}

@test "vpod image sign: an image that is there already" {
	skopeo copy --quiet --dest-tls-verify=false "docker-archive:$VPOD_TEST_IMAGE" "docker://$REGISTRY/test/later:1"
	denied "$(gpg_policy release)" "$REGISTRY/test/later:1"
	run_vpod image sign --sign-by release@example.com "docker://$REGISTRY/test/later:1"
	accepted "$(gpg_policy release)" "$REGISTRY/test/later:1"
	run_vpod image sign --sign-by other@example.com --directory "$T/sigs" "$REGISTRY/test/later:1"
	denied "$(gpg_policy other)" "$REGISTRY/test/later:1"
	cp "$T"/sigs/test/later@sha256=*/signature-1 "$(echo "$T"/sigstore/test/later@sha256=*)/signature-2"
	accepted "$(gpg_policy other)" "$REGISTRY/test/later:1"
	run_vpod 125 image sign "$REGISTRY/test/later:1"
	assert "$stderr" =~ "--sign-by"
}

@test "vpod image trust: set, show, and what it sets is obeyed" {
	cp "$HOME/.config/containers/policy.json" "$T/conf/policy.kept"
	run_vpod image trust set --type signedBy --pubkeysfile "$T/release.gpg" "$REGISTRY"
	run_vpod image trust show
	assert "${lines[0]}" =~ ^TRANSPORT.*NAME.*TYPE.*ID.*STORE
	assert "$output" =~ "repository +$REGISTRY +signed +release@example.com +file://$T/sigstore"
	run_vpod image trust show --json "$REGISTRY/test/gpg"
	assert "$output" =~ '"gpg_id": "release@example.com"'
	assert "$output" !~ default
	run_vpod push --quiet --remove-signatures --sign-by release@example.com $IMAGE "$REGISTRY/test/set:1"
	run_vpod push --quiet --remove-signatures --sign-by other@example.com $IMAGE "$REGISTRY/test/set-other:1"
	run_vpod pull --quiet "$REGISTRY/test/set:1"
	run_vpod 125 pull --quiet "$REGISTRY/test/set-other:1"
	run_vpod image trust set --type accept "$REGISTRY/test/set-other"
	run_vpod pull --quiet "$REGISTRY/test/set-other:1"
	run_vpod image trust set --type reject default
	run_vpod 125 image copy "docker-archive:$VPOD_TEST_IMAGE" "dir:$T/y"
	assert "$stderr" =~ "rejected by policy"
	cp "$T/conf/policy.kept" "$HOME/.config/containers/policy.json"
}
