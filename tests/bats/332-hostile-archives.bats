#!/usr/bin/env bats
# Archives of images that somebody made to do harm: refused, or harmless.

load helpers

# hostile KIND DIR: write the archive or directory DIR/KIND of an image named
# localhost/hostile:1.
hostile() {
	"$PYTHON" - "$1" "$2" "$T/outside" <<-'PY'
		import gzip, hashlib, io, json, os, sys, tarfile
		kind, target, outside = sys.argv[1:]
		out = os.path.join(target, kind)
		sha = lambda b: hashlib.sha256(b).hexdigest()

		def tar(entries):
		    buf = io.BytesIO()
		    with tarfile.open(fileobj=buf, mode="w", format=tarfile.PAX_FORMAT) as t:
		        for name, typ, data in entries:
		            info = tarfile.TarInfo(name)
		            info.mode, info.type = 0o755, typ
		            if typ == tarfile.REGTYPE:
		                data = data if isinstance(data, bytes) else data.encode()
		                info.size = len(data)
		                t.addfile(info, io.BytesIO(data))
		            else:
		                info.linkname = data
		                t.addfile(info)
		    return buf.getvalue()

		FILE, LINK, HARD, DIR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
		up = "../" * 20
		layers = {
		    "link-out":    [("a", LINK, outside), ("a/evil", FILE, "x")],
		    "link-up":     [("a", LINK, up + outside[1:]), ("a/evil", FILE, "x")],
		    "link-chain":  [("a", LINK, "/"), ("b", LINK, "a" + outside), ("b/evil", FILE, "x")],
		    "hard-out":    [("etc", DIR, ""), ("a", HARD, outside + "/secret"), ("a", FILE, "x")],
		    "hard-up":     [("a", HARD, up + outside[1:] + "/secret")],
		    "absolute":    [(outside + "/evil", FILE, "x")],
		    "dots":        [(up + outside[1:] + "/evil", FILE, "x")],
		    "whiteout-up": [(up + outside[1:] + "/.wh.secret", FILE, "")],
		    "whiteout":    [(".wh.", FILE, ""), (".wh...", FILE, ""), (".wh..wh..opq", FILE, ""), (".wh./secret", FILE, "")],
		}
		layer = tar(layers.get(kind, [("hello", FILE, "hello")]))
		config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]},
		                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(layer)]}}).encode()

		def docker(manifest_layers=("layer.tar",), manifest_config="config.json", extra=()):
		    manifest = json.dumps([{"Config": manifest_config, "RepoTags": ["localhost/hostile:1"], "Layers": list(manifest_layers)}])
		    return [("manifest.json", FILE, manifest), ("config.json", FILE, config), *extra]

		def oci(layer_digest=None, config_digest=None, manifest_digest=None):
		    os.makedirs(out + "/blobs/sha256")
		    def blob(b):
		        open(out + "/blobs/sha256/" + sha(b), "wb").write(b)
		        return "sha256:" + sha(b)
		    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config), "digest": config_digest or blob(config)},
		        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(layer), "digest": layer_digest or blob(layer)}]}).encode()
		    index = {"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": len(manifest),
		        "digest": manifest_digest or blob(manifest), "annotations": {"org.opencontainers.image.ref.name": "localhost/hostile:1"}}]}
		    blob(manifest)
		    json.dump(index, open(out + "/index.json", "w"))
		    open(out + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
		    return out

		secret = outside + "/secret"
		traversal = "sha256:" + up + secret[1:]
		if kind in layers:
		    data = tar(docker(extra=[("layer.tar", FILE, layer)]))
		elif kind == "names-secret-as-layer":
		    data = tar(docker(manifest_layers=[up + secret[1:]]))
		elif kind == "names-secret-as-config":
		    data = tar(docker(manifest_config=secret, extra=[("layer.tar", FILE, layer)]))
		elif kind == "links-secret":
		    data = tar(docker(extra=[("layer.tar", LINK, secret)]))
		elif kind == "links-itself":
		    data = tar(docker(extra=[("layer.tar", LINK, "other"), ("other", LINK, "layer.tar")]))
		elif kind == "many-layers":
		    data = tar(docker(manifest_layers=["layer.tar"] * 1000000, extra=[("layer.tar", FILE, layer)]))
		elif kind == "huge-config":
		    config = b'{"x":"' + b"x" * 50000000 + b'"}'
		    data = tar(docker(extra=[("layer.tar", FILE, layer)]))
		elif kind == "million-entries":
		    header = tar([("x", FILE, "")])[:512]
		    with gzip.open(out, "wb", 1) as f:
		        for _ in range(1000):
		            f.write(header * 1000)
		        f.write(bytes(1024))
		    sys.exit()
		elif kind == "oci-wrong-layer":
		    oci()
		    os.chmod(out + "/blobs/sha256/" + sha(layer), 0o644)
		    open(out + "/blobs/sha256/" + sha(layer), "r+b").write(b"HELLO")
		    sys.exit()
		elif kind == "oci-wrong-config":
		    oci()
		    open(out + "/blobs/sha256/" + sha(config), "wb").write(config.replace(b"/hello", b"/other"))
		    sys.exit()
		elif kind == "oci-layer-outside":
		    sys.exit(not oci(layer_digest=traversal))
		elif kind == "oci-config-outside":
		    sys.exit(not oci(config_digest=traversal))
		elif kind == "oci-manifest-outside":
		    sys.exit(not oci(manifest_digest=traversal))
		elif kind == "bomb":
		    packed = tar([("zeros", FILE, bytes(200 << 20))])
		    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(packed)]}}).encode()
		    packed = gzip.compress(packed, 6)
		    data = tar(docker(extra=[("layer.tar", FILE, packed)]))
		else:
		    sys.exit("no such kind: " + kind)
		open(out, "wb").write(data)
	PY
}

setup_file() {
	file_setup
	mkdir "$T/outside" "$T/hostile"
	echo secret > "$T/outside/secret"
	ln "$T/outside/secret" "$T/outside/again"
}

teardown() {
	rm -rf "$T/hostile"/*
	run_vpod rmi --force --ignore localhost/hostile:1
	test_teardown
}

# unharmed: nothing outside of the store has changed.
unharmed() {
	assert "$(ls "$T/outside")" = $'again\nsecret' "files outside after $1"
	assert "$(cat "$T/outside/secret")" = secret "a file outside after $1"
	assert "$(stat -c %h "$T/outside/secret")" -eq 2 "links of a file outside after $1"
	run_vpod image exists $IMAGE
}

@test "layers with paths and links that lead outside" {
	for kind in link-out link-up link-chain hard-out hard-up absolute dots whiteout-up whiteout; do
		hostile "$kind" "$T/hostile"
		run_vpod "?" load --input "$T/hostile/$kind"
		unharmed "$kind"
		if [ "$status" -eq 0 ]; then
			# What came in does not lead out when the image becomes a disk, either.
			run_vpod "?" run --rm --network none localhost/hostile:1
			assert "$status" -ne 0
			assert "$output" !~ secret
			unharmed "$kind, run"
		fi
		run_vpod rmi --force --ignore localhost/hostile:1
	done
}

@test "archives that name files outside, or nothing" {
	for kind in names-secret-as-layer names-secret-as-config links-secret links-itself; do
		hostile "$kind" "$T/hostile"
		run_vpod 125 load --input "$T/hostile/$kind"
		assert "$stderr" !~ "secret\$" "what a file outside says"
		unharmed "$kind"
		run_vpod 1 image exists localhost/hostile:1
	done
}

@test "blobs that are not what their digest says, or lie outside" {
	for kind in oci-wrong-layer oci-wrong-config oci-layer-outside oci-config-outside oci-manifest-outside; do
		hostile "$kind" "$T/hostile"
		run_vpod 125 load --input "$T/hostile/$kind"
		unharmed "$kind"
		run_vpod 1 image exists localhost/hostile:1
		tar -C "$T/hostile/$kind" -cf "$T/hostile/archive" .
		run_vpod 125 load --input "$T/hostile/archive"
		run_vpod 1 image exists localhost/hostile:1
		rm -r "$T/hostile/$kind"
	done
}

@test "manifests, configurations and archives without end" {
	for kind in many-layers huge-config million-entries; do
		hostile "$kind" "$T/hostile"
		run_vpod 125 load --input "$T/hostile/$kind"
		assert "${#stderr}" -lt 2000 "length of the error"
		unharmed "$kind"
		rm "$T/hostile/$kind"
	done
	assert "$(find "$T/d/vpod/cache/tmp" -type f -size +1k 2>/dev/null)" = "" "passing files left"
}

@test "a layer that unpacks to more than the disk holds" {
	skip_if_rootless "a small file system is mounted"
	hostile bomb "$T/hostile"
	assert "$(stat -c %s "$T/hostile/bomb")" -lt 1000000 "bytes"
	mkdir "$T/small"
	mount -t tmpfs -o size=64m none "$T/small"
	sed "s,$T/d,$T/small/d," "$T/conf/storage.conf" > "$T/conf/small.conf"
	export CONTAINERS_STORAGE_CONF=$T/conf/small.conf
	small() { timeout "$VPOD_TIMEOUT" "$VPOD" --root "$T/small/d" --runroot "$T/r2" "$@"; }
	small load --quiet --input "$VPOD_TEST_IMAGE"
	before=$(df --output=used -k "$T/small" | tail -n 1)
	capture small load --input "$T/hostile/bomb"
	assert "$status" -eq 125 "exit code"
	assert "$stderr" =~ "no space left on device"
	after=$(df --output=used -k "$T/small" | tail -n 1)
	assert "$after" -lt $((before + 1024)) "kilobytes in use"
	assert "$(small images --format '{{.Repository}}')" = localhost/busybox
	small rmi --all > /dev/null
	umount "$T/small/d/overlay" 2>/dev/null || true
	umount "$T/small"
	rm -rf "$T/small" "$T/r2"
}
