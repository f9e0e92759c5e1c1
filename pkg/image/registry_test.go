package image

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry is a container registry that can be pulled from: the reading half of
// OCI's distribution-spec.
type registry struct {
	mu    sync.Mutex
	blobs blobs
	tags  map[string]digest.Digest // "repo:tag"
	types map[digest.Digest]string // media types of manifests

	user, password string // wanted, when user is set
	damage         bool   // blobs arrive changed
	hang           chan struct{}
	blobsSent      int
}

// newRegistry starts one that speaks plain HTTP, or TLS, and returns its address.
func newRegistry(t *testing.T, tls bool) (*registry, *httptest.Server, string) {
	t.Helper()
	r := &registry{blobs: blobs{}, tags: map[string]digest.Digest{}, types: map[digest.Digest]string{}}
	start := httptest.NewServer
	if tls {
		start = httptest.NewTLSServer
	}
	server := start(r)
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	return r, server, server.Listener.Addr().String()
}

// add puts images under one tag: one alone as itself, several as an index.
func (r *registry) add(t *testing.T, name string, images ...testImage) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var descs []ociv1.Descriptor
	for _, img := range images {
		d := r.blobs.build(t, img)
		r.types[d.Digest] = d.MediaType
		descs = append(descs, d)
	}
	top := descs[0]
	if len(descs) > 1 {
		raw, err := json.Marshal(ociv1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociv1.MediaTypeImageIndex, Manifests: descs})
		if err != nil {
			t.Fatal(err)
		}
		top = r.blobs.add(ociv1.MediaTypeImageIndex, raw)
		r.types[top.Digest] = top.MediaType
	}
	r.tags[name] = top.Digest
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fail := func(status int, code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, strings.ToLower(strings.ReplaceAll(code, "_", " ")))
	}
	if user, password, _ := req.BasicAuth(); r.user != "" && (user != r.user || password != r.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		fail(http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	if path == "" {
		return
	}
	if repo, ok := strings.CutSuffix(path, "/tags/list"); ok {
		list := struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}{Name: repo}
		for name := range r.tags {
			if tag, ok := strings.CutPrefix(name, repo+":"); ok {
				list.Tags = append(list.Tags, tag)
			}
		}
		json.NewEncoder(w).Encode(list)
		return
	}
	if repo, ref, ok := strings.Cut(path, "/manifests/"); ok {
		d, tagged := r.tags[repo+":"+ref]
		if !tagged {
			d = digest.Digest(ref)
		}
		data, found := r.blobs[d]
		if !found {
			fail(http.StatusNotFound, "MANIFEST_UNKNOWN")
			return
		}
		w.Header().Set("Content-Type", r.types[d])
		w.Header().Set("Docker-Content-Digest", d.String())
		w.Write(data)
		return
	}
	if _, ref, ok := strings.Cut(path, "/blobs/"); ok {
		data, found := r.blobs[digest.Digest(ref)]
		if !found {
			fail(http.StatusNotFound, "BLOB_UNKNOWN")
			return
		}
		if r.hang != nil {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.(http.Flusher).Flush()
			r.mu.Unlock()
			<-r.hang
			r.mu.Lock()
			return
		}
		r.blobsSent++
		if r.damage && data[0] == 0x1f {
			data = append([]byte(nil), data...)
			data[len(data)-1] ^= 1
		}
		w.Write(data)
		return
	}
	fail(http.StatusNotFound, "NAME_UNKNOWN")
}

func insecure() *bool { no := false; return &no }

func noRetry() *uint { return new(uint) }

func TestPullFromRegistry(t *testing.T) {
	s := newStore(t, "vfs")
	s.opts.TempDir = filepath.Join(t.TempDir(), "tmp")
	r, _, addr := newRegistry(t, false)
	r.add(t, "team/demo:v1", demoImage(""))
	var text strings.Builder
	opts := PullOptions{TLSVerify: insecure(), Progress: &text}
	name := addr + "/team/demo:v1"
	got, err := s.Pull(t.Context(), "docker://"+name, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != name || got[0].Config.User != "1000:1000" {
		t.Errorf("pulled %+v", got[0])
	}
	for _, want := range []string{"Trying to pull " + name, "Copying blob", "Copying config", "Writing manifest"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("progress %q lacks %q", text.String(), want)
		}
	}
	before := r.blobsSent
	for _, policy := range []Policy{PullMissing, "", PullNever, PullNewer} {
		opts.Policy = policy
		if _, err := s.Pull(t.Context(), name, opts); err != nil {
			t.Errorf("policy %q of an image that is here: %v", policy, err)
		}
	}
	if r.blobsSent != before {
		t.Error("an image that is here was fetched again")
	}
	// Another image under the same tag.
	changed := demoImage("")
	changed.layers = append(changed.layers, []entry{{name: "new", data: "new"}})
	r.add(t, "team/demo:v1", changed)
	opts.Policy = PullMissing
	if again, err := s.Pull(t.Context(), name, opts); err != nil || again[0].ID != got[0].ID {
		t.Errorf("missing: %+v, %v", again, err)
	}
	opts.Policy = PullNewer
	newer, err := s.Pull(t.Context(), name, opts)
	if err != nil || newer[0].ID == got[0].ID || len(newer[0].Layers) != 2 {
		t.Errorf("newer: %+v, %v", newer, err)
	}
	if r.blobsSent != before+2 {
		t.Errorf("%d blobs sent for a new layer, want that and the configuration", r.blobsSent-before)
	}
	if left, _ := os.ReadDir(filepath.Dir(s.tempDir.path)); len(left) != 2 { // this process's and its lock
		t.Errorf("passing files: %v", left)
	}
	tmp := s.opts.TempDir
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("passing files after Close: %v", left)
	}
}

func TestPullPlatforms(t *testing.T) {
	s := newStore(t, "vfs")
	r, _, addr := newRegistry(t, false)
	arm := demoImage("")
	arm.arch = "arm64"
	r.add(t, "multi:1", demoImage(""), arm)
	opts := PullOptions{TLSVerify: insecure()}
	got, err := s.Pull(t.Context(), addr+"/multi:1", opts)
	if err != nil || got[0].Arch != "amd64" || got[0].Foreign() {
		t.Fatalf("default platform: %+v, %v", got, err)
	}
	opts.Platform = Platform{OS: "linux", Arch: "arm64"}
	got, err = s.Pull(t.Context(), addr+"/multi:1", opts)
	if err != nil || got[0].Arch != "arm64" || !got[0].Foreign() {
		t.Fatalf("arm64: %+v, %v", got, err)
	}
	opts.Platform = Platform{OS: "linux", Arch: "s390x"}
	if _, err = s.Pull(t.Context(), addr+"/multi:1", opts); err == nil {
		t.Error("pulled a platform that is not there")
	}
}

func TestPullAllTags(t *testing.T) {
	s := newStore(t, "vfs")
	r, _, addr := newRegistry(t, false)
	other := testImage{layers: [][]entry{{{name: "x", data: "x"}}}}
	r.add(t, "demo:1", demoImage(""))
	r.add(t, "demo:2", other)
	got, err := s.Pull(t.Context(), addr+"/demo", PullOptions{TLSVerify: insecure(), AllTags: true})
	if err != nil || len(got) != 2 {
		t.Errorf("pulled %d images, %v", len(got), err)
	}
}

func TestPullFails(t *testing.T) {
	plain, _, plainAddr := newRegistry(t, false)
	plain.add(t, "demo:1", demoImage(""))
	_, _, tlsAddr := newRegistry(t, true)
	locked, _, lockedAddr := newRegistry(t, false)
	locked.user, locked.password = "me", "secret"
	locked.add(t, "demo:1", demoImage(""))
	damaged, _, damagedAddr := newRegistry(t, false)
	damaged.damage = true
	damaged.add(t, "demo:1", demoImage(""))
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	goneAddr := gone.Addr().String()
	gone.Close()

	s := newStore(t, "vfs")
	reject := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(reject, []byte(`{"default":[{"type":"reject"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		ref    string
		opts   PullOptions
		policy string
		is     error
		want   string
	}{
		{name: "unknown tag", ref: plainAddr + "/demo:2", want: "search --list-tags"},
		{name: "unknown repository", ref: plainAddr + "/nosuch", want: "manifest unknown"},
		{name: "nobody listens", ref: goneAddr + "/demo:1", is: ErrRegistry, want: "is the registry running"},
		{name: "plain HTTP", ref: plainAddr + "/demo:1", opts: PullOptions{TLSVerify: new(bool)}, want: ""},
		{name: "certificate", ref: tlsAddr + "/demo:1", opts: PullOptions{TLSVerify: func() *bool { yes := true; return &yes }()}, is: ErrRegistry, want: "--cert-dir"},
		{name: "no login", ref: lockedAddr + "/demo:1", is: ErrLogin, want: "--creds"},
		{name: "wrong login", ref: lockedAddr + "/demo:1", opts: PullOptions{Creds: "me:guess"}, is: ErrLogin, want: "--creds"},
		{name: "damaged layer", ref: damagedAddr + "/demo:1", want: "pull " + damagedAddr},
		{name: "rejected", ref: plainAddr + "/demo:1", policy: reject, is: ErrRejected, want: "rejected by policy"},
		{name: "no policy", ref: plainAddr + "/demo:1", policy: "/nonexistent/policy.json", want: "/nonexistent/policy.json"},
		{name: "never", ref: plainAddr + "/demo:1", opts: PullOptions{Policy: PullNever}, is: ErrNotFound, want: "image not known"},
		{name: "bad policy", ref: "x", opts: PullOptions{Policy: "often"}, want: "often"},
		{name: "short name", ref: "demo", want: "short-name"},
		{name: "bad name", ref: "a::b", want: "invalid reference format"},
		{name: "no layout", ref: "oci:/nonexistent", want: "no such file"},
		{name: "no archive", ref: "docker-archive:/nonexistent", want: "no such file"},
		{name: "no such store image", ref: "containers-storage:localhost/nosuch", is: ErrNotFound, want: "image not known"},
		{name: "auth file", ref: plainAddr + "/demo:1", opts: PullOptions{AuthFile: "/nonexistent/auth.json"}, want: "--authfile"},
		{name: "cert dir", ref: plainAddr + "/demo:1", opts: PullOptions{CertDir: "/nonexistent/certs"}, want: "--cert-dir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.opts.TLSVerify == nil {
				tt.opts.TLSVerify = insecure()
			} else if tt.name == "plain HTTP" {
				yes := true
				tt.opts.TLSVerify = &yes
				tt.is, tt.want = ErrRegistry, "--tls-verify=false"
			}
			tt.opts.Retry.Count = noRetry()
			one := s
			if tt.policy != "" {
				one = newStore(t, "vfs")
				one.opts.SignaturePolicy = tt.policy
			}
			got, err := one.Pull(t.Context(), tt.ref, tt.opts)
			if err == nil {
				t.Fatalf("pulled %+v", got)
			}
			t.Log(err)
			wantErr(t, err, tt.want)
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
		})
	}
	if list, err := s.List(t.Context(), ListOptions{All: true}); err != nil || len(list) != 0 {
		t.Errorf("left in the store: %+v, %v", list, err)
	}
}

// Registries that cannot be searched are told of on one line, as all errors are.
func TestSearchFails(t *testing.T) {
	_, _, one := newRegistry(t, false)
	_, _, two := newRegistry(t, false)
	s := newStore(t, "vfs")
	s.opts.RegistriesConf = filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(s.opts.RegistriesConf, []byte(`unqualified-search-registries = ["`+one+`", "`+two+`"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Search(t.Context(), "demo", SearchOptions{Access: Access{TLSVerify: insecure()}, Retry: Retry{Count: noRetry()}})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "; ") || strings.Contains(err.Error(), "occurred") {
		t.Errorf("error %q", err)
	}
}

func TestPullWithLoginAndCertificate(t *testing.T) {
	s := newStore(t, "vfs")
	r, server, addr := newRegistry(t, true)
	r.user, r.password = "me", "secret"
	r.add(t, "demo:1", demoImage(""))
	certs := t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(certs, "ca.crt"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), addr+"/demo:1", PullOptions{CertDir: certs, Creds: "me:secret"}); err != nil {
		t.Errorf("with --creds: %v", err)
	}
	login := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(login, fmt.Appendf(nil, `{"auths":{%q:{"auth":"bWU6c2VjcmV0"}}}`, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), addr+"/demo:1", PullOptions{Policy: PullAlways, CertDir: certs, AuthFile: login}); err != nil {
		t.Errorf("with --authfile: %v", err)
	}
	t.Setenv("REGISTRY_AUTH_FILE", login)
	fresh := newStore(t, "vfs")
	if _, err := fresh.Pull(t.Context(), addr+"/demo:1", PullOptions{CertDir: certs}); err != nil {
		t.Errorf("with $REGISTRY_AUTH_FILE: %v", err)
	}
}

func TestPullCancelled(t *testing.T) {
	s := newStore(t, "vfs")
	r, _, addr := newRegistry(t, false)
	r.add(t, "demo:1", demoImage(""))
	r.hang = make(chan struct{})
	defer close(r.hang)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Pull(ctx, addr+"/demo:1", PullOptions{TLSVerify: insecure()})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("Pull: %v after %v", err, time.Since(start))
	}
	if layers, err := s.store.Layers(); err != nil || len(layers) != 0 {
		t.Errorf("layers left: %v, %v", layers, err)
	}
}

func TestShortName(t *testing.T) {
	s := newStore(t, "vfs")
	r, _, addr := newRegistry(t, false)
	r.add(t, "demo:latest", demoImage(""))
	if _, err := s.List(t.Context(), ListOptions{}); err != nil { // opens it, then its files are known
		t.Fatal(err)
	}
	conf := fmt.Sprintf("unqualified-search-registries = [%q]\n[[registry]]\nlocation = %q\ninsecure = true\n", addr, addr)
	if err := os.WriteFile(s.opts.RegistriesConf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pull(t.Context(), "demo", PullOptions{})
	if err != nil || got[0].Name != addr+"/demo:latest" {
		t.Errorf("Pull of a short name: %+v, %v", got, err)
	}
	if img, err := s.Lookup(t.Context(), "demo"); err != nil || img.Name != addr+"/demo:latest" {
		t.Errorf("Lookup of a short name: %+v, %v", img, err)
	}
}

func TestPullTransports(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	dir := t.TempDir()
	for name, format := range map[string]Format{"d.tar": DockerArchive, "o.tar": OCIArchive, "o": OCIDir, "d": DockerDir} {
		if err := s.Save(t.Context(), SaveOptions{Format: format, Names: []string{"demo:1"}, Output: filepath.Join(dir, name)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, ref := range []string{"docker-archive:" + dir + "/d.tar", "oci-archive:" + dir + "/o.tar", "oci:" + dir + "/o", "dir:" + dir + "/d", "oci:" + dir + "/o:localhost/demo:1"} {
		t.Run(strings.ReplaceAll(ref, dir, ""), func(t *testing.T) {
			other := newStore(t, "vfs")
			got, err := other.Pull(t.Context(), ref, PullOptions{})
			if err != nil || len(got) != 1 || got[0].Config.User != "1000:1000" {
				t.Fatalf("Pull: %+v, %v", got, err)
			}
			if _, err := other.Lookup(t.Context(), got[0].Name); err != nil {
				t.Errorf("it says its name is %q: %v", got[0].Name, err)
			}
		})
	}
	s = Open(s.opts, s.log) // containers-storage: names mean the store opened last
	if _, err := s.List(t.Context(), ListOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pull(t.Context(), "containers-storage:localhost/demo:1", PullOptions{})
	if err != nil || got[0].Name != "localhost/demo:1" {
		t.Errorf("from the store itself: %+v, %v", got, err)
	}
}

func TestParsePolicy(t *testing.T) {
	for in, want := range map[string]Policy{"": PullMissing, "always": PullAlways, "missing": PullMissing, "newer": PullNewer, "never": PullNever, "true": PullAlways, "false": PullMissing, "ifnotpresent": PullMissing} {
		if got, err := ParsePolicy(in); err != nil || got != want {
			t.Errorf("ParsePolicy(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := ParsePolicy("often"); err == nil {
		t.Error("took an unknown policy")
	}
}
