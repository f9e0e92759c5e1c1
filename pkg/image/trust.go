package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containers/image/v5/signature"

	"vpod/pkg/filelock"
	"vpod/pkg/wholefile"
)

// Trust is one line of a policy: what is asked of images of a scope.
type Trust struct {
	Transport string `json:"transport"` // "all", "repository" (of registries), or the transport's name
	Name      string `json:"name,omitempty"`
	Repo      string `json:"repo_name,omitempty"`
	Lookaside string `json:"sigstore,omitempty"` // where signatures are kept, as registries.d has it
	Type      string `json:"type"`               // "accept", "reject", "signed" or "sigstoreSigned"
	Keys      string `json:"gpg_id,omitempty"`   // whose signature is wanted, where that is known
}

// trustTypes are the words for the types of a policy's requirements.
var trustTypes = map[string]string{
	"insecureAcceptAnything": "accept",
	"reject":                 "reject",
	"signedBy":               "signed",
	"sigstoreSigned":         "sigstoreSigned",
	"signedBaseLayer":        "signedBaseLayer",
}

// policyFile is policy.json as far as it is shown and edited; what is in it
// besides is kept as it is.
type policyFile struct {
	Default    json.RawMessage                       `json:"default"`
	Transports map[string]map[string]json.RawMessage `json:"transports,omitempty"`
}

// requirement is one requirement of policy.json.
type requirement struct {
	Type     string   `json:"type"`
	KeyType  string   `json:"keyType,omitempty"`
	KeyPath  string   `json:"keyPath,omitempty"`
	KeyPaths []string `json:"keyPaths,omitempty"`
	KeyData  string   `json:"keyData,omitempty"`
}

// PolicyPath is the policy.json that is obeyed: the user's if there is one, else
// the system's.
func (s *Store) PolicyPath() string {
	if s.opts.SignaturePolicy != "" {
		return s.opts.SignaturePolicy
	}
	if home, err := os.UserHomeDir(); err == nil {
		own := filepath.Join(home, ".config/containers/policy.json")
		if _, err := os.Stat(own); err == nil {
			return own
		}
	}
	return "/etc/containers/policy.json"
}

// readPolicy reads and checks a policy; raw is the file's text.
func readPolicy(path string) (raw []byte, policy policyFile, err error) {
	raw, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, policy, asKind(ErrNoPolicy, err)
	}
	if err != nil {
		return nil, policy, err
	}
	policy, err = parsePolicy(raw)
	if err != nil {
		return nil, policy, fmt.Errorf("%s: %w", path, err)
	}
	return raw, policy, nil
}

// parsePolicy reads a policy's text and has the library check it.
func parsePolicy(raw []byte) (policyFile, error) {
	var policy policyFile
	if _, err := signature.NewPolicyFromBytes(raw); err != nil {
		return policy, err
	}
	err := json.Unmarshal(raw, &policy)
	return policy, err
}

// PolicyText returns policy.json as it is.
func (s *Store) PolicyText() ([]byte, error) {
	raw, _, err := readPolicy(s.PolicyPath())
	return raw, err
}

// TrustShow lists what the policy asks of images: the default first, then by
// transport and scope. With a registry, only what holds for images there.
func (s *Store) TrustShow(ctx context.Context, registry string) ([]Trust, error) {
	_, policy, err := readPolicy(s.PolicyPath())
	if err != nil {
		return nil, err
	}
	places, err := readLookasides(lookasideDir())
	if err != nil {
		return nil, err
	}
	list, err := policy.list(func(files []string) string { return keyOwners(ctx, files) }, places)
	if registry != "" {
		list = trustFor(list, registry)
	}
	return list, err
}

// list turns a policy into lines; owners names whom keys belong to.
func (p policyFile) list(owners func(files []string) string, places lookasides) ([]Trust, error) {
	var out []Trust
	add := func(line Trust, raw json.RawMessage) error {
		var requirements []requirement
		if err := json.Unmarshal(raw, &requirements); err != nil {
			return err
		}
		for _, r := range requirements {
			one := line
			one.Type = trustTypes[r.Type]
			switch r.Type {
			case "signedBy":
				files := r.KeyPaths
				if r.KeyPath != "" {
					files = append(files, r.KeyPath)
				}
				one.Keys = owners(files)
			case "sigstoreSigned":
				one.Keys = "N/A" // such keys have no owner's name
			}
			out = append(out, one)
		}
		return nil
	}
	if err := add(Trust{Transport: "all", Name: "* (default)", Repo: "default", Lookaside: places.of("")}, p.Default); err != nil {
		return nil, err
	}
	for _, transport := range sortedKeys(p.Transports) {
		for _, scope := range sortedKeys(p.Transports[transport]) {
			line := Trust{Transport: transport, Name: scope, Repo: scope}
			if transport == "docker" {
				line.Transport, line.Lookaside = "repository", places.of(scope)
			}
			if err := add(line, p.Transports[transport][scope]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// trustFor keeps the lines about a registry or repository: those of it and below
// it, or else those of the nearest scope it is in.
func trustFor(list []Trust, name string) []Trust {
	within := func(name, scope string) bool {
		return name == scope || strings.HasPrefix(name, scope+"/") || strings.HasPrefix(name, scope+":") || strings.HasPrefix(name, scope+"@")
	}
	var out []Trust
	best := "default"
	for _, t := range list {
		if t.Transport != "repository" {
			continue
		}
		if within(t.Repo, name) {
			out = append(out, t)
		} else if within(name, t.Repo) && (best == "default" || len(t.Repo) > len(best)) {
			best = t.Repo
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, t := range list {
		if t.Repo == best && (t.Transport == "repository" || t.Transport == "all") {
			out = append(out, t)
		}
	}
	return out
}

// keyOwners are the addresses in files of public keys; "" where gpg(1) cannot say.
func keyOwners(ctx context.Context, files []string) string {
	var owners []string
	for _, file := range files {
		out, err := exec.CommandContext(ctx, "gpg", "--batch", "--no-tty", "--no-options", "--show-keys", "--with-colons", "--", file).Output()
		if err != nil {
			continue
		}
		owners = append(owners, parseOwners(string(out))...)
	}
	return strings.Join(owners, ", ")
}

// address is that in "Name <me@example.com>".
var address = regexp.MustCompile(`<([^<>@\s]+@[^<>\s]+)>`)

// parseOwners finds the user ids in what gpg prints of a key (doc/DETAILS of
// GnuPG, "Description of the fields"): addresses, where they have one.
func parseOwners(out string) []string {
	var owners []string
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if fields[0] != "uid" || len(fields) < 10 {
			continue
		}
		owner := fields[9]
		if m := address.FindStringSubmatch(owner); m != nil {
			owner = m[1]
		}
		if owner != "" && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	return owners
}

// TrustSetting is what is to be asked of images of a scope.
type TrustSetting struct {
	Scope string   // a registry, or a part of one; "default" is for all that no scope names
	Type  string   // "accept", "reject", "signedBy" or "sigstoreSigned"
	Keys  []string // files with public keys, for the last two
}

// scopePattern is what a scope of the docker transport may look like.
var scopePattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[a-z0-9._/-]+)?(:[\w][\w.-]*|@sha256:[0-9a-f]{64})?$`)

// requirements are the setting as policy.json has it.
func (t TrustSetting) requirements() ([]requirement, error) {
	kinds := map[string]requirement{
		"accept":         {Type: "insecureAcceptAnything"},
		"reject":         {Type: "reject"},
		"signedBy":       {Type: "signedBy", KeyType: "GPGKeys"},
		"sigstoreSigned": {Type: "sigstoreSigned"},
	}
	kind, ok := kinds[t.Type]
	signed := t.Type == "signedBy" || t.Type == "sigstoreSigned"
	switch {
	case !ok:
		return nil, fmt.Errorf("trust type %q: use accept, reject, signedBy or sigstoreSigned", t.Type)
	case t.Scope != "default" && !scopePattern.MatchString(t.Scope):
		return nil, fmt.Errorf("%q names no registry and no part of one", t.Scope)
	case signed && len(t.Keys) == 0:
		return nil, fmt.Errorf("at least one public key must be defined for type %q", t.Type)
	case !signed && len(t.Keys) > 0:
		return nil, fmt.Errorf("public keys have no meaning for type %q", t.Type)
	case !signed:
		return []requirement{kind}, nil
	}
	var out []requirement
	for _, key := range t.Keys {
		path, err := filepath.Abs(key)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		one := kind
		one.KeyPath = path
		out = append(out, one)
	}
	return out, nil
}

// TrustSet changes policy.json, which is whole at any moment; two that change it at once
// do so one after the other.
func (s *Store) TrustSet(ctx context.Context, t TrustSetting) (err error) {
	requirements, err := t.requirements()
	if err != nil {
		return err
	}
	path := s.PolicyPath()
	defer func() {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; copied to ~/.config/containers it is your own", err)
		}
	}()
	unlock, err := lockFile(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	raw, policy, err := readPolicy(path)
	switch {
	case errors.Is(err, ErrNoPolicy): // it begins with this
		raw, policy.Default = []byte(`{}`), json.RawMessage(`[{"type":"insecureAcceptAnything"}]`)
	case err != nil:
		return err
	}
	made, err := json.Marshal(requirements)
	if err != nil {
		return err
	}
	if t.Scope == "default" {
		policy.Default = made
	} else {
		if policy.Transports == nil {
			policy.Transports = map[string]map[string]json.RawMessage{}
		}
		if policy.Transports["docker"] == nil {
			policy.Transports["docker"] = map[string]json.RawMessage{}
		}
		policy.Transports["docker"][t.Scope] = made
	}
	changed, err := json.MarshalIndent(policy, "", "    ")
	if err != nil {
		return err
	}
	if _, err := parsePolicy(changed); err != nil {
		return err
	}
	if bytes.Equal(raw, changed) {
		return nil
	}
	return replaceFile(path, append(changed, '\n'))
}

// lockFile keeps out others that would change a file at the same time, until unlock. The
// file's directory is made if it is not there.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	held := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	for {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		lock, err := filelock.Lock(ctx, held)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another one removed it just now
		}
		if err != nil {
			return nil, err
		}
		return func() {
			_ = os.Remove(held) // while it is held
			lock.Close()
		}, nil
	}
}

// replaceFile writes a file that others read; a link stays one.
func replaceFile(path string, text []byte) (err error) {
	f, err := wholefile.Create(path, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Publish()
}
