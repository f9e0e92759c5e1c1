package image

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

const testPolicy = `{"default":[{"type":"reject"}],"transports":{
	"docker":{"r.example":[{"type":"sigstoreSigned","keyPath":"/x.pub"},{"type":"signedBy","keyType":"GPGKeys","keyPaths":["/a.gpg","/b.gpg"]}],
		"r.example/free":[{"type":"insecureAcceptAnything"}]},
	"docker-daemon":{"":[{"type":"insecureAcceptAnything"}]}}}`

// policyStore returns a store whose policy is this text.
func policyStore(t *testing.T, text string) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return Open(Options{SignaturePolicy: path}, slog.New(slog.DiscardHandler))
}

func TestTrustList(t *testing.T) {
	policy, err := parsePolicy([]byte(testPolicy))
	if err != nil {
		t.Fatal(err)
	}
	got, err := policy.list(func(files []string) string { return strings.Join(files, " ") }, lookasides{"": "file:///all", "r.example/free": "file:///free"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Trust{
		{Transport: "all", Name: "* (default)", Repo: "default", Type: "reject", Lookaside: "file:///all"},
		{Transport: "repository", Name: "r.example", Repo: "r.example", Type: "sigstoreSigned", Keys: "N/A", Lookaside: "file:///all"},
		{Transport: "repository", Name: "r.example", Repo: "r.example", Type: "signed", Keys: "/a.gpg /b.gpg", Lookaside: "file:///all"},
		{Transport: "repository", Name: "r.example/free", Repo: "r.example/free", Type: "accept", Lookaside: "file:///free"},
		{Transport: "docker-daemon", Type: "accept"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	for name, repos := range map[string][]string{
		"r.example":          {"r.example", "r.example", "r.example/free"},
		"r.example/team":     {"r.example", "r.example"},
		"r.example/free/app": {"r.example/free"},
		"r.example.org":      {"default"},
	} {
		var found []string
		for _, one := range trustFor(got, name) {
			found = append(found, one.Repo)
		}
		if !reflect.DeepEqual(found, repos) {
			t.Errorf("for %s: %q, want %q", name, found, repos)
		}
	}
}

func TestTrustSet(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.gpg")
	if err := os.WriteFile(key, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := policyStore(t, testPolicy)
	for _, setting := range []TrustSetting{
		{Scope: "new.example/team", Type: "signedBy", Keys: []string{key, key}},
		{Scope: "r.example", Type: "accept"},
		{Scope: "default", Type: "accept"},
	} {
		if err := s.TrustSet(t.Context(), setting); err != nil {
			t.Fatalf("%+v: %v", setting, err)
		}
	}
	text, err := s.PolicyText()
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	accept := `[{"type":"insecureAcceptAnything"}]`
	signed, _ := json.Marshal(requirement{Type: "signedBy", KeyType: "GPGKeys", KeyPath: key})
	wanted := `{"default":` + accept + `,"transports":{"docker":{"new.example/team":[` + string(signed) + `,` + string(signed) + `],"r.example":` + accept + `,"r.example/free":` + accept + `},"docker-daemon":{"":` + accept + `}}}`
	if json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(wanted), &want) != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("policy\n%s, want\n%s", text, wanted)
	}
	if info, err := os.Stat(s.PolicyPath()); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode: %v, %v", info.Mode(), err)
	}
	for _, tt := range []struct {
		setting TrustSetting
		want    string
	}{
		{TrustSetting{Scope: "r.example", Type: "maybe"}, "trust type"},
		{TrustSetting{Scope: "docker://r.example", Type: "accept"}, "names no registry"},
		{TrustSetting{Scope: "", Type: "accept"}, "names no registry"},
		{TrustSetting{Scope: "r.example", Type: "signedBy"}, "at least one public key"},
		{TrustSetting{Scope: "r.example", Type: "accept", Keys: []string{key}}, "have no meaning"},
		{TrustSetting{Scope: "r.example", Type: "sigstoreSigned", Keys: []string{"/nonexistent"}}, "no such file"},
	} {
		wantErr(t, s.TrustSet(t.Context(), tt.setting), tt.want)
	}
	fresh := policyStore(t, "")
	if _, err := fresh.PolicyText(); err == nil {
		t.Error("read a policy that is not there")
	}
	if err := fresh.TrustSet(t.Context(), TrustSetting{Scope: "x.example", Type: "reject"}); err != nil {
		t.Errorf("the first setting: %v", err)
	}
	wantErr(t, policyStore(t, `{"default":[]}`).TrustSet(t.Context(), TrustSetting{Scope: "default", Type: "accept"}), "policy.json")
}

// No change is lost when several are made at once, and no lock is left.
func TestTrustSetAtOnce(t *testing.T) {
	s := policyStore(t, testPolicy)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := s.TrustSet(t.Context(), TrustSetting{Scope: fmt.Sprintf("r%d.example", i), Type: "accept"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, err := s.PolicyText()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if !strings.Contains(string(text), fmt.Sprintf(`"r%d.example"`, i)) {
			t.Errorf("the setting of r%d.example is lost", i)
		}
	}
	if left, _ := filepath.Glob(filepath.Dir(s.PolicyPath()) + "/.*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestLookasides(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "default-docker:\n  sigstore: file:///old\n",
		"b.yaml": "docker:\n  r.example:\n    lookaside: file:///r\n  r.example:5000/team:\n    lookaside-staging: file:///other\n",
		"c.txt":  "{",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readLookasides(dir)
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[string]string{"": "file:///old", "r.example": "file:///r", "r.example/x/y:1": "file:///r", "other": "file:///old"} {
		if place := got.of(scope); place != want {
			t.Errorf("of %q: %q, want %q", scope, place, want)
		}
	}
	if _, err := readLookasides("/nonexistent"); err != nil {
		t.Errorf("without a directory: %v", err)
	}
}

func TestParseOwners(t *testing.T) {
	out := "tru::1:1\npub:u:2048\nuid:u::::1::HASH::Release <rel@example.com>:::\nuid:u::::1::HASH::just a name:::\nuid:u::::1::HASH::Again <rel@example.com>:::\nuid:short\n"
	if got, want := parseOwners(out), []string{"rel@example.com", "just a name"}; !reflect.DeepEqual(got, want) {
		t.Errorf("parseOwners = %q, want %q", got, want)
	}
}

func FuzzParseOwners(f *testing.F) {
	f.Add("uid:u::::1::HASH::Release <rel@example.com>:::\n")
	f.Fuzz(func(t *testing.T, out string) {
		for _, owner := range parseOwners(out) {
			if owner == "" || strings.Contains(owner, "\n") {
				t.Errorf("owner %q", owner)
			}
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(testPolicy))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if policy, err := parsePolicy(raw); err == nil {
			_, _ = policy.list(func([]string) string { return "" }, nil)
		}
	})
}
