package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMain(m *testing.M) {
	if Init() {
		return // a child that unpacks a layer
	}
	if what := os.Getenv("VPOD_TEST_CHILD"); what != "" {
		os.Exit(testChild(what))
	}
	// A race detector's process lingers for a second when it ends, and every
	// layer is unpacked by a child.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// newStore returns an empty store of the given driver, open to this test alone.
func newStore(t *testing.T, driver string) *Store {
	t.Helper()
	if !InUserNamespace() {
		t.Skip("needs root, or a user namespace, to unpack layers")
	}
	return storeIn(t, t.TempDir(), driver)
}

// storeIn returns the store in dir, which may be in use by another Store.
func storeIn(t *testing.T, dir, driver string) *Store {
	t.Helper()
	// Nothing of the machine's own configuration takes part.
	conf := filepath.Join(dir, "conf")
	files := map[string]string{
		"storage.conf":    "",
		"containers.conf": "",
		"registries.conf": `unqualified-search-registries = []`,
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
	}
	if err := os.MkdirAll(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CONTAINERS_CONF", filepath.Join(conf, "containers.conf"))
	s := Open(Options{
		Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: driver,
		SignaturePolicy: filepath.Join(conf, "policy.json"),
		RegistriesConf:  filepath.Join(conf, "registries.conf"),
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if s.store != nil {
			if _, err := s.store.Shutdown(true); err != nil {
				t.Errorf("shut the store down: %v", err)
			}
		}
		// The overlay driver leaves its directory a mount.
		syscall.Unmount(filepath.Join(dir, "root", driver), syscall.MNT_DETACH)
	})
	return s
}

// entry is a file of a test layer.
type entry struct {
	name string
	data string
	typ  byte // 0 is a regular file
	mode int64
	uid  int
	caps string // security.capability
}

// testImage is an image to be written as an OCI layout.
type testImage struct {
	ref     string // annotation with its name; "" is none
	arch    string // "" is amd64
	config  ociv1.ImageConfig
	extra   map[string]any // more of config, as Healthcheck
	layers  [][]entry
	created time.Time
}

// tarLayer packs a layer's files.
func tarLayer(t *testing.T, entries []entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.typ, Mode: e.mode, Uid: e.uid, Gid: e.uid, Size: int64(len(e.data)), Format: tar.FormatPAX}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		} else {
			h.Size = 0
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if e.caps != "" {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": e.caps}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(e.data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// blobs is a set of blobs by digest.
type blobs map[digest.Digest][]byte

func (b blobs) add(mediaType string, data []byte) ociv1.Descriptor {
	d := digest.FromBytes(data)
	b[d] = data
	return ociv1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

// build adds an image's blobs and returns its manifest's descriptor.
func (b blobs) build(t *testing.T, img testImage) ociv1.Descriptor {
	t.Helper()
	if img.arch == "" {
		img.arch = "amd64"
	}
	if img.created.IsZero() {
		img.created = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	}
	manifest := ociv1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociv1.MediaTypeImageManifest}
	config := ociv1.Image{Created: &img.created, Platform: ociv1.Platform{OS: "linux", Architecture: img.arch}, Config: img.config}
	config.RootFS.Type = "layers"
	for i, layer := range img.layers {
		plain := tarLayer(t, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(plain))
		config.History = append(config.History, ociv1.History{Created: &img.created, CreatedBy: fmt.Sprint("layer ", i)})
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		w.Write(plain)
		w.Close()
		manifest.Layers = append(manifest.Layers, b.add(ociv1.MediaTypeImageLayerGzip, packed.Bytes()))
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if img.extra != nil {
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
		inner, _ := all["config"].(map[string]any)
		for k, v := range img.extra {
			inner[k] = v
		}
		raw, _ = json.Marshal(all)
	}
	manifest.Config = b.add(ociv1.MediaTypeImageConfig, raw)
	raw, err = json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	desc := b.add(ociv1.MediaTypeImageManifest, raw)
	desc.Platform = &ociv1.Platform{OS: "linux", Architecture: img.arch}
	return desc
}

// writeLayout writes images as an OCI layout and returns its directory.
func writeLayout(t *testing.T, images ...testImage) string {
	t.Helper()
	dir, b := t.TempDir(), blobs{}
	index := ociv1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociv1.MediaTypeImageIndex}
	for _, img := range images {
		desc := b.build(t, img)
		if img.ref != "" {
			desc.Annotations = map[string]string{ociv1.AnnotationRefName: img.ref}
		}
		index.Manifests = append(index.Manifests, desc)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	for d, data := range b {
		if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", d.Encoded()), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, _ := json.Marshal(index)
	for name, data := range map[string]string{"index.json": string(raw), "oci-layout": `{"imageLayoutVersion":"1.0.0"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// netRawCapability is cap_net_raw+ep in version 2: linux capability.h, struct
// vfs_cap_data.
const netRawCapability = "\x01\x00\x00\x02\x00\x20" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// baseLayer and its image are what most tests use.
var baseLayer = []entry{
	{name: "bin/", typ: tar.TypeDir},
	{name: "bin/sh", data: "#!shell", mode: 0o755},
	{name: "bin/ping", data: "ping", mode: 0o755, caps: netRawCapability},
	{name: "etc/", typ: tar.TypeDir},
	{name: "etc/passwd", data: "root:x:0:0::/root:/bin/sh\n", mode: 0o644},
	{name: "home/", typ: tar.TypeDir},
	{name: "home/user", data: "mine", mode: 0o600, uid: 1000},
}

func demoImage(ref string) testImage {
	return testImage{
		ref:    ref,
		layers: [][]entry{baseLayer},
		config: ociv1.ImageConfig{
			User: "1000:1000", Env: []string{"PATH=/bin", "A=b"}, Entrypoint: []string{"/bin/sh"}, Cmd: []string{"-c", "true"},
			WorkingDir: "/home", StopSignal: "SIGINT", Labels: map[string]string{"k": "v"},
			ExposedPorts: map[string]struct{}{"80/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
		},
		extra: map[string]any{"Healthcheck": map[string]any{"Test": []string{"CMD-SHELL", "true"}, "Interval": 30000000000}, "Shell": []string{"/bin/ash", "-c"}},
	}
}

// pullDemo pulls the demo image under a name and returns it.
func pullDemo(t *testing.T, s *Store, ref string) *Image {
	t.Helper()
	images, err := s.Pull(t.Context(), "oci:"+writeLayout(t, demoImage(ref))+":"+ref, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return images[0]
}

func wantErr(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want it to say %q", err, text)
	}
}
