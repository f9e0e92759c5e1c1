package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPushToDirectory(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	dir := filepath.Join(t.TempDir(), "out")
	digest, err := s.Push(t.Context(), "demo:1", "dir:"+dir, PushOptions{Format: "v2s2"})
	if err != nil || !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("Push: %q, %v", digest, err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil || !strings.Contains(string(manifest), "docker.distribution.manifest.v2") {
		t.Errorf("manifest: %v\n%s", err, manifest)
	}
	all, err := s.Push(t.Context(), "demo:1", "dir:"+dir+"-all", PushOptions{Format: "v2s2", All: true})
	if err != nil || all != digest {
		t.Errorf("Push of all of one image: %q, %v; want %q", all, err, digest)
	}
}

func TestPushRefuses(t *testing.T) {
	s := newStore(t, "vfs")
	id := pullDemo(t, s, "localhost/demo:1").ID
	fulcio := filepath.Join(t.TempDir(), "fulcio.yaml")
	if err := os.WriteFile(fulcio, []byte("rekorURL: https://rekor.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	level := 3
	tests := []struct {
		name, image, destination string
		opts                     PushOptions
		want                     string
	}{
		{"no such image", "nosuch", "dir:/x", PushOptions{}, "image not known"},
		{"no name", id, "", PushOptions{}, "name the destination"},
		{"bad destination", "demo:1", "oci-archive:", PushOptions{}, "oci-archive"},
		{"bad name", "demo:1", "a::b", PushOptions{}, "invalid reference format"},
		{"format", "demo:1", "dir:/x", PushOptions{Format: "v3"}, "--format"},
		{"compression", "demo:1", "dir:/x", PushOptions{Compression: Compression{Format: "lzw"}}, "--compression-format"},
		{"zstd in Docker's format", "demo:1", "dir:/x", PushOptions{Format: "v2s2", Compression: Compression{Format: "zstd"}}, "know gzip alone"},
		{"zstd in Docker's archive", "demo:1", "docker-archive:/x", PushOptions{Compression: Compression{Format: "zstd:chunked"}}, "know gzip alone"},
		{"level alone", "demo:1", "dir:/x", PushOptions{Compression: Compression{Level: &level}}, "need --compression-format"},
		{"layers without key", "demo:1", "dir:/x", PushOptions{Encrypt: Encryption{Layers: []int{0}}}, "needs --encryption-key"},
		{"bad key", "demo:1", "dir:/x", PushOptions{Encrypt: Encryption{Keys: []string{"nosuch"}}}, "--encryption-key"},
		{"two signatures", "demo:1", "dir:/x", PushOptions{Sign: Signing{GPGKey: "me", SigstoreKey: "k"}}, "cannot be used together"},
		{"passphrase alone", "demo:1", "dir:/x", PushOptions{Sign: Signing{PassphraseFile: "p"}}, "--sign-passphrase-file needs"},
		{"rekor", "demo:1", "dir:/x", PushOptions{Sign: Signing{SigstoreFile: fulcio}}, "no Rekor server"},
		{"auth file", "demo:1", "dir:/x", PushOptions{Access: Access{AuthFile: "/nonexistent"}}, "--authfile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Push(t.Context(), tt.image, tt.destination, tt.opts)
			wantErr(t, err, tt.want)
		})
	}
}
