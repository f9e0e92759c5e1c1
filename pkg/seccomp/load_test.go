package seccomp

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseErrors(t *testing.T) {
	rule := func(s string) string {
		return `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [` + s + `]}`
	}
	arg := func(s string) string {
		return rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [` + s + `]}`)
	}
	for _, tt := range []struct {
		name, json string
		want       []string // parts of the message
	}{
		{"empty", " \n", []string{"empty", "seccomp=unconfined"}},
		{"empty object", `{}`, []string{"defaultAction: not set", "SCMP_ACT_ERRNO"}},
		{"null", `null`, []string{"defaultAction: not set"}},
		{"not JSON", "{\n  \"defaultAction\": SCMP_ACT_ALLOW}", []string{"line 2, column 20", "not valid JSON"}},
		{"cut off", `{"defaultAction": "SCMP`, []string{"not valid JSON", "unexpected end"}},
		{"array", `[]`, []string{"a profile is a JSON object, not array"}},
		{"wrong kind", `{"defaultAction": 3}`, []string{"line 1, column", `"defaultAction"`, "want a string"}},
		{"negative value", arg(`{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}`), []string{"value", "number -1", "0 to 2^64-1"}},
		{"unknown action", rule(`{"names": ["read"], "action": "ALLOW"}`), []string{"syscalls[0] (read)", `unknown action "ALLOW"`, "SCMP_ACT_"}},
		{"unknown default", `{"defaultAction": "deny"}`, []string{"defaultAction", `unknown action "deny"`}},
		{"no action", rule(`{"names": ["read"]}`), []string{"syscalls[0] (read)", "no action"}},
		{"no name", rule(`{"action": "SCMP_ACT_ALLOW"}`), []string{"syscalls[0]", "names no system call"}},
		{"null rule", rule(`null`), []string{"syscalls[0]", "names no system call"}},
		{"name and names", rule(`{"name": "read", "names": ["write"], "action": "SCMP_ACT_ALLOW"}`), []string{"both name and names"}},
		{"notify", rule(`{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}`), []string{"(mount)", "SCMP_ACT_NOTIFY is not supported", "listener"}},
		{"unknown operator", arg(`{"index": 0, "value": 1, "op": "=="}`), []string{"syscalls[0] (read).args[0]", `unknown operator "=="`, "SCMP_CMP_"}},
		{"no operator", arg(`{"index": 0}`), []string{`unknown operator ""`}},
		{"argument 6", arg(`{"index": 6, "op": "SCMP_CMP_EQ"}`), []string{"index 6", "0 to 5"}},
		{"unknown architecture", `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "vax"]}`, []string{"architectures[1]", `unknown architecture "vax"`}},
		{"unknown sub-architecture", `{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_MIPS", "subArchitectures": ["vax"]}]}`, []string{"archMap[0].subArchitectures[0]"}},
		{"architectures and archMap", `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}`, []string{"both architectures and archMap"}},
		{"unknown errno", rule(`{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errno": "EWHAT"}`), []string{`unknown errno "EWHAT"`}},
		{"large errno", rule(`{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}`), []string{"errno 4096 is too large", "4095"}},
		{"errno without use", rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}`), []string{"errno", "SCMP_ACT_ALLOW does not use"}},
		{"unknown flag", `{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["FAST"]}`, []string{"flags[0]", `"FAST"`}},
		{"bad kernel", rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}`), []string{"includes.minKernel", `"new"`}},
		{"mistake in a rule not selected", rule(`{"names": ["read"], "action": "NO", "includes": {"arches": ["vax"]}}`), []string{`unknown action "NO"`}},
		{"huge", strings.Repeat(" ", maxProfileBytes+1), []string{"larger than"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.json))
			if perr := (*ProfileError)(nil); !errors.As(err, &perr) {
				t.Fatalf("got %v, want a *ProfileError", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("message lacks %q: %s", part, err)
				}
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none.json"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.json: no such file") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir+": is a directory") {
		t.Errorf("directory: %v", err)
	}
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"defaultAction": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "seccomp profile " + bad + ": defaultAction: unknown action"
	if _, err := Load(bad); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("bad file: got %v, want %s...", err, want)
	}
}

// TestDefaultProfileRoundTrip shows that the JSON spelling loses nothing.
func TestDefaultProfileRoundTrip(t *testing.T) {
	text, err := json.Marshal(DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, caps := range [][]string{nil, podmanCaps, adminCaps} {
		a, err := Compile(p, Target{Arch: "amd64", Caps: caps})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Compile(DefaultProfile(), Target{Arch: "amd64", Caps: caps})
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Errorf("caps %v: program from JSON differs", caps)
		}
	}
}

func TestErrnoSpellings(t *testing.T) {
	for _, tt := range []struct {
		name, json string
		want       uint32
	}{
		{"none", `{"defaultAction": "SCMP_ACT_ERRNO"}`, retErrno | 1},
		{"number", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38}`, retErrno | 38},
		{"name", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS"}`, retErrno | 38},
		{"number as name", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "38"}`, retErrno | 38},
		{"name wins", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EINVAL", "defaultErrnoRet": 38}`, retErrno | 22},
		{"second name", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EWOULDBLOCK"}`, retErrno | 11},
		{"last name", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EHWPOISON"}`, retErrno | 133},
		{"trace", `{"defaultAction": "SCMP_ACT_TRACE", "defaultErrnoRet": 65535}`, retTrace | 65535},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte(tt.json))
			if err != nil {
				t.Fatal(err)
			}
			prog, err := Compile(p, Target{Arch: "arm64"})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := run(decode(t, prog), &data{arch: auditAArch64})
			if got != tt.want {
				t.Errorf("%s: got %#x, want %#x", tt.json, got, tt.want)
			}
		})
	}
}

func TestFilterFlags(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags []string
		want  uint32
	}{
		{"none", nil, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{"log", []string{"SECCOMP_FILTER_FLAG_LOG"}, unix.SECCOMP_FILTER_FLAG_LOG},
		{"two", []string{"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
			unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := (&Profile{Flags: tt.flags}).FilterFlags()
			if err != nil || got != tt.want {
				t.Errorf("%v: got %#x, %v, want %#x", tt.flags, got, err, tt.want)
			}
		})
	}
}

// FuzzParse feeds arbitrary files; whatever is accepted must compile to a
// valid program or be too large. FuzzCompileRandom looks at what programs do.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"operators.json", "docker.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		for _, arch := range []string{"amd64", "arm64"} {
			prog, err := Compile(p, Target{Arch: arch, Caps: podmanCaps})
			if errors.Is(err, ErrTooLarge) {
				continue
			}
			if err != nil {
				t.Fatalf("parsed but does not compile: %v", err)
			}
			decode(t, prog)
		}
	})
}
