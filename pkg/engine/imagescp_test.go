package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParseImageAt(t *testing.T) {
	tests := []struct {
		text string
		want ImageAt
		ok   bool
	}{
		{"alpine", ImageAt{Image: "alpine"}, true},
		{"registry.example:5000/team/app@sha256:00", ImageAt{Image: "registry.example:5000/team/app@sha256:00"}, true},
		{"host::", ImageAt{Host: "host"}, true},
		{"me@host.example::localhost/app:1", ImageAt{Host: "me@host.example", Image: "localhost/app:1"}, true},
		{"me@fe80::1::app", ImageAt{Host: "me@fe80::1", Image: "app"}, true},
		{"-oProxyCommand=x::", ImageAt{}, false},
		{"::app", ImageAt{}, false},
		{"host::a;reboot", ImageAt{}, false},
		{"host::$(reboot)", ImageAt{}, false},
		{"host::a b", ImageAt{}, false},
		{"host::--output=/x", ImageAt{}, false},
		{"ho st::a", ImageAt{}, false},
		{"a\nb", ImageAt{}, false},
	}
	for _, tt := range tests {
		got, err := ParseImageAt(tt.text)
		if (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("ParseImageAt(%q) = %+v, %v, want %+v, %t", tt.text, got, err, tt.want, tt.ok)
		}
	}
}

func FuzzParseImageAt(f *testing.F) {
	f.Add("me@host::localhost/app:1")
	f.Add("a\n;$(x)")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseImageAt(text)
		if err != nil {
			return
		}
		for _, word := range []string{at.Host, at.Image} {
			for _, c := range []byte(word) {
				if c <= ' ' || c >= 0x7f || c == '$' || c == '`' || c == ';' || c == '&' || c == '|' || c == '\'' || c == '"' || c == '\\' || c == '*' || c == '>' || c == '<' {
					t.Errorf("ParseImageAt(%q) lets %q through", text, c)
				}
			}
			if word != "" && word[0] == '-' {
				t.Errorf("ParseImageAt(%q) lets an option through", text)
			}
		}
	})
}

// An interrupt ends the commands on both hosts, and is all there is to say.
func TestScpInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\nexec sleep 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	if err := new(Engine).ScpImage(ctx, ImageAt{Host: "one", Image: "x"}, ImageAt{Host: "two"}, ScpOptions{}); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}

// Who lacks the other fails, too, and often ends first: who began it is named.
func TestScpNamesWhoFailed(t *testing.T) {
	for _, tt := range []struct{ name, save, load, want string }{
		{"nothing to save", "exec >&-; sleep 0.3; exit 3", "cat; exit 4", "save image x on one: exit status 3"},
		{"half of it", "echo half; exec >&-; sleep 0.3; exit 3", "cat; exit 4", "save image x on one: exit status 3"},
		{"load does not read", "exec yes", "exit 4", "load image x on two: exit status 4"},
		{"load ends before save says anything", "sleep 100", "exit 4", "load image x on two: exit status 4"},
		{"load does not like it", "echo all", "cat; exit 4", "load image x on two: exit status 4"},
		{"both well", "echo all", "cat", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			script := "#!/bin/sh\ncase $* in *save*) " + tt.save + " ;; *) " + tt.load + " ;; esac\n"
			if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			got := ""
			if err := new(Engine).ScpImage(t.Context(), ImageAt{Host: "one", Image: "x"}, ImageAt{Host: "two"}, ScpOptions{}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}
