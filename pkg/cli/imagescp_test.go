package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/engine"
)

func (e *fakeEngine) ScpImage(_ context.Context, from, to engine.ImageAt, opts engine.ScpOptions) error {
	e.called(fmt.Sprint("scp ", from, to, opts.Quiet))
	return nil
}

func TestImageScp(t *testing.T) {
	for _, tt := range []struct{ args, call, err string }{
		{"a h::", "scp { a} {h } false", ""},
		{"-q u@h::a", "scp {u@h a} { } true", ""},
		{"g::a h::", "scp {g a} {h } false", ""},
		{"a", "", "this host"},
		{"h::", "", "name the image"},
		{"a h::b", "", "keeps its names"},
		{"a b", "", "keeps its names"},
		{"a -- -x::", "", "as ssh(1) knows it"},
	} {
		a := newTestApp(t)
		code := a.run(t, append([]string{"image", "scp"}, strings.Fields(tt.args)...)...)
		if tt.err != "" {
			if code != 125 || !strings.Contains(a.err.String(), tt.err) || a.opened != 0 {
				t.Errorf("scp %s: exit code %d, %q, want 125 and %q", tt.args, code, a.err.String(), tt.err)
			}
			continue
		}
		if code != 0 || !slices.Contains(a.engine.calls, tt.call) || a.entered != 0 {
			t.Errorf("scp %s: exit code %d, calls %q, want %q", tt.args, code, a.engine.calls, tt.call)
		}
	}
}
