package cli

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"vpod/pkg/engine"
)

func (e *fakeEngine) Push(_ context.Context, name, destination string, opts engine.PushOptions) (string, error) {
	e.called("push " + name + " to " + destination)
	opts.Progress, opts.Sign.Passphrase = nil, nil
	e.options = opts
	return "sha256:0123", nil
}

func (e *fakeEngine) Login(_ context.Context, opts engine.LoginOptions) error {
	e.called("login")
	opts.Stdin, opts.Stdout = nil, nil
	e.options = opts
	return nil
}

func (e *fakeEngine) Logout(opts engine.LogoutOptions) error {
	e.called("logout")
	opts.Stdout = nil
	e.options = opts
	return nil
}

func (e *fakeEngine) CopyImage(_ context.Context, source, dest string, opts engine.CopyOptions) (string, error) {
	e.called("copy " + source + " to " + dest)
	opts.Progress, opts.Sign.Passphrase = nil, nil
	e.options = opts
	return "sha256:0123", nil
}

func (e *fakeEngine) InspectRemoteImage(_ context.Context, name string, opts engine.RemoteOptions) (*engine.RemoteImage, error) {
	e.called("look at " + name)
	e.options = opts
	return &engine.RemoteImage{Name: name}, nil
}

func (e *fakeEngine) RemoteImageManifest(_ context.Context, name string, opts engine.RemoteOptions) ([]byte, error) {
	e.called("manifest of " + name)
	e.options = opts
	return []byte("{}"), nil
}

func (e *fakeEngine) SearchImages(_ context.Context, term string, opts engine.SearchOptions) ([]engine.FoundImage, error) {
	e.called("search " + term)
	e.options = opts
	if opts.ListTags {
		return []engine.FoundImage{{Name: "r/x", Tag: "1"}, {Name: "r/x", Tag: "2"}}, nil
	}
	return []engine.FoundImage{{Index: "r", Name: "r/x", Description: "an\x1b[31m image", Stars: 3, Official: "[OK]"}}, nil
}

func TestSearch(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "NAME        DESCRIPTION\nr/x         an�[31m image\n"},
		{[]string{"--compatible"}, "NAME        DESCRIPTION    STARS       OFFICIAL    AUTOMATED\nr/x         an�[31m image  3           [OK]        \n"},
		{[]string{"--list-tags"}, "NAME        TAG\nr/x         1\nr/x         2\n"},
		{[]string{"--list-tags", "--format", "json"}, "[\n    {\n        \"Name\": \"r/x\",\n        \"Tags\": [\n            \"1\",\n            \"2\"\n        ]\n    }\n]\n"},
		{[]string{"--format", "{{.Name}} {{.Stars}}"}, "r/x 3\n"},
	}
	for _, tt := range tests {
		a := newTestApp(t)
		if code := a.run(t, append([]string{"search", "r/x"}, tt.args...)...); code != 0 || a.out.String() != tt.want {
			t.Errorf("%q: exit code %d, %s\n%q, want\n%q", tt.args, code, a.err.String(), a.out.String(), tt.want)
		}
	}
}

func (e *fakeEngine) SyncImages(_ context.Context, source, dest string, opts engine.SyncOptions) (int, error) {
	e.called("sync " + source + " to " + dest)
	opts.Progress, opts.Sign.Passphrase = nil, nil
	e.options = opts
	return 2, nil
}

func (e *fakeEngine) SetTrust(_ context.Context, setting engine.TrustSetting) error {
	e.called("trust")
	e.options = setting
	return nil
}

func (e *fakeEngine) TrustPolicy(_ context.Context, registry string) ([]engine.Trust, error) {
	e.called("trust in " + registry)
	return []engine.Trust{
		{Transport: "all", Name: "* (default)", Repo: "default", Type: "reject"},
		{Transport: "repository", Name: "r.example", Repo: "r.example", Type: "signed", Keys: "me@example.com", Lookaside: "file:///sigs"},
	}, nil
}

func (e *fakeEngine) TrustPolicyText() ([]byte, error) { return []byte("{}\n"), nil }

func (e *fakeEngine) SignImage(_ context.Context, name string, opts engine.SignImageOptions) error {
	e.called("sign " + name)
	e.options = opts
	return nil
}

func TestTrustShow(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "TRANSPORT   NAME        TYPE        ID              STORE\nall         default     reject                      \nrepository  r.example   signed      me@example.com  file:///sigs\n"},
		{[]string{"-n", "r.example"}, "all         default     reject                      \nrepository  r.example   signed      me@example.com  file:///sigs\n"},
		{[]string{"--raw"}, "{}\n"},
	}
	for _, tt := range tests {
		a := newTestApp(t)
		if code := a.run(t, append([]string{"image", "trust", "show"}, tt.args...)...); code != 0 || a.out.String() != tt.want {
			t.Errorf("%q: exit code %d, %s\n%q, want\n%q", tt.args, code, a.err.String(), a.out.String(), tt.want)
		}
	}
}

func (e *fakeEngine) PullAllTags(_ context.Context, name string, _ engine.PullOptions) ([]engine.Image, error) {
	e.called("pull all of " + name)
	return []engine.Image{{ID: "1"}, {ID: "2"}}, nil
}

func TestRegistryVerbs(t *testing.T) {
	digestFile := filepath.Join(t.TempDir(), "digest")
	three, five, no := 3, uint(5), false
	tests := []struct {
		name string
		args []string
		call string
		opts any
		err  string
	}{
		{"push", []string{"push", "app"}, "push app to ", engine.PushOptions{}, ""},
		{"push elsewhere", []string{"image", "push", "-q", "app", "r/x:1"}, "push app to r/x:1", engine.PushOptions{}, ""},
		{"push with everything", []string{"push", "--all", "--creds", "me:x", "--tls-verify=false", "--retry", "5", "--retry-delay", "2s", "--compression-format", "zstd", "--compression-level", "3",
			"--force-compression", "--format", "oci", "--remove-signatures", "--sign-by", "me", "--encryption-key", "jwe:k", "--encrypt-layer", "0,-1", "--compress", "app", "dir:x"}, "push app to dir:x",
			engine.PushOptions{
				Access: engine.RegistryAccess{Creds: "me:x", TLSVerify: &no}, Retry: engine.Retry{Count: &five, Delay: 2 * time.Second},
				Compression: engine.Compression{Format: "zstd", Level: &three, Force: true}, Format: "oci", RemoveSignatures: true, All: true, DirCompress: true,
				Sign: engine.Signing{GPGKey: "me"}, Encrypt: engine.Encryption{Keys: []string{"jwe:k"}, Layers: []int{0, -1}},
			}, ""},
		{"push, a digest file", []string{"push", "--digestfile", digestFile, "app"}, "push app to ", engine.PushOptions{}, ""},
		{"push nothing", []string{"push"}, "", nil, "accepts between 1 and 2"},
		{"push in no format", []string{"push", "--format", "v3", "app"}, "", nil, "not a valid value"},
		{"push without certificates", []string{"push", "--cert-dir", "/nonexistent", "app"}, "", nil, "--cert-dir: stat /nonexistent"},
		{"login", []string{"login", "r.example"}, "login", engine.LoginOptions{Registry: "r.example"}, ""},
		{"login with everything", []string{"login", "-u", "me", "-p", "x", "--tls-verify=false", "--cert-dir", "/c", "--authfile", "/a", "-v"}, "login",
			engine.LoginOptions{Username: "me", Password: "x", TLSVerify: &no, CertDir: "/c", AuthFile: "/a", Verbose: true}, ""},
		{"login, who", []string{"login", "--get-login", "r.example"}, "login", engine.LoginOptions{Registry: "r.example", GetLogin: true}, ""},
		{"login with two passwords", []string{"login", "-u", "me", "-p", "x", "--password-stdin"}, "", nil, "--password and --password-stdin"},
		{"login as nobody", []string{"login", "--password-stdin"}, "", nil, "--password-stdin needs --username"},
		{"login to two files", []string{"login", "--authfile", "a", "--compat-auth-file", "b"}, "", nil, "cannot be used together"},
		{"login with a secret", []string{"login", "--secret", "x"}, "", nil, "vpod keeps no secrets"},
		{"logout", []string{"logout", "r.example"}, "logout", engine.LogoutOptions{Registry: "r.example"}, ""},
		{"logout of all", []string{"logout", "-a"}, "logout", engine.LogoutOptions{All: true}, ""},
		{"logout of all and one", []string{"logout", "-a", "x"}, "", nil, "--all and a registry"},
		{"copy", []string{"image", "copy", "docker://a/b", "dir:x"}, "copy docker://a/b to dir:x", engine.CopyOptions{}, ""},
		{"copy with everything", []string{"image", "copy", "--authfile", "/a", "--src-tls-verify=false", "--src-creds", "me:x", "--dest-authfile", "/b", "--dest-username", "you", "--dest-password", "y", "--all",
			"--retry-times", "5", "--dest-compress-format", "gzip", "--dest-compress-level", "3", "--preserve-digests", "--sign-identity", "r/x:1", "--platform", "linux/arm64", "oci:a", "oci:b"}, "copy oci:a to oci:b",
			engine.CopyOptions{
				Source: engine.Place{Access: engine.RegistryAccess{AuthFile: "/a", Creds: "me:x", TLSVerify: &no}}, Dest: engine.Place{Access: engine.RegistryAccess{AuthFile: "/b", Creds: "you:y"}},
				Platform: engine.RemotePlatform{OS: "linux", Arch: "arm64"}, All: true, Retry: engine.Retry{Count: &five}, Compression: engine.Compression{Format: "gzip", Level: &three},
				PreserveDigests: true, Sign: engine.Signing{Identity: "r/x:1"},
			}, ""},
		{"copy an index", []string{"image", "copy", "--multi-arch", "index-only", "oci:a", "oci:b"}, "copy oci:a to oci:b", engine.CopyOptions{IndexOnly: true}, ""},
		{"copy all and not", []string{"image", "copy", "--multi-arch", "system", "-a", "oci:a", "oci:b"}, "", nil, "--all and --multi-arch"},
		{"copy with a password alone", []string{"image", "copy", "--src-password", "x", "oci:a", "oci:b"}, "", nil, "--src-password needs --src-username"},
		{"copy as two", []string{"image", "copy", "--dest-creds", "a:b", "--dest-registry-token", "t", "oci:a", "oci:b"}, "", nil, "only one of --dest-creds"},
		{"look", []string{"image", "inspect", "docker://a/b"}, "look at docker://a/b", engine.RemoteOptions{}, ""},
		{"look at the manifest", []string{"image", "inspect", "--raw", "--no-tags", "oci:x"}, "manifest of oci:x", engine.RemoteOptions{NoTags: true}, ""},
		{"look at two", []string{"image", "inspect", "docker://a/b", "x"}, "", nil, "the only one named"},
		{"look at the store's manifest", []string{"image", "inspect", "--raw", "x"}, "", nil, "--raw is for images outside"},
		{"sync", []string{"image", "sync", "--src", "docker", "--dest", "dir", "--scoped", "--keep-going", "--all", "r/x", "/d"}, "sync r/x to /d",
			engine.SyncOptions{From: "docker", To: "dir", Scoped: true, KeepGoing: true, CopyOptions: engine.CopyOptions{All: true}}, ""},
		{"sync from nothing", []string{"image", "sync", "a", "b"}, "", nil, "with --src and --dest"},
		{"sync to a file", []string{"image", "sync", "--src", "docker", "--dest", "yaml", "a", "b"}, "", nil, "not a valid value"},
		{"search", []string{"search", "--limit", "3", "-f", "stars=2", "--no-trunc", "--retry", "5", "r.example/x"}, "search r.example/x",
			engine.SearchOptions{Limit: 3, Filters: []string{"stars=2"}, NoTrunc: true, Retry: engine.Retry{Count: &five}}, ""},
		{"trust by a key", []string{"image", "trust", "set", "-f", "a.gpg,b.gpg", "r.example"}, "trust", engine.TrustSetting{Scope: "r.example", Type: "signedBy", Keys: []string{"a.gpg", "b.gpg"}}, ""},
		{"trust nobody", []string{"image", "trust", "set", "-t", "reject", "default"}, "trust", engine.TrustSetting{Scope: "default", Type: "reject"}, ""},
		{"trust somehow", []string{"image", "trust", "set", "-t", "maybe", "default"}, "", nil, "not a valid value"},
		{"sign", []string{"image", "sign", "--sign-by", "me", "-a", "-d", "/s", "docker://r/x:1"}, "sign docker://r/x:1", engine.SignImageOptions{Signing: engine.Signing{GPGKey: "me"}, Directory: "/s", All: true}, ""},
		{"pull all", []string{"pull", "-a", "r/x"}, "pull all of r/x", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			code := a.run(t, tt.args...)
			if a.refused(t, code, tt.err) {
				return
			}
			if code != 0 || !slices.Contains(a.engine.calls, tt.call) {
				t.Fatalf("exit code %d, %s, calls %q, want %q", code, a.err.String(), a.engine.calls, tt.call)
			}
			if !reflect.DeepEqual(a.engine.options, tt.opts) {
				t.Errorf("options\n%+v, want\n%+v", a.engine.options, tt.opts)
			}
		})
	}
	if text, err := os.ReadFile(digestFile); err != nil || string(text) != "sha256:0123" {
		t.Errorf("--digestfile: %q, %v", text, err)
	}
}
