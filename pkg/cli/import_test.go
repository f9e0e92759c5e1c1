package cli

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"vpod/pkg/engine"
)

func (e *fakeEngine) Import(_ context.Context, opts engine.ImportOptions) (string, error) {
	e.called("import " + opts.Source)
	e.options = opts
	return strings.Repeat("a", 64), nil
}

func TestImport(t *testing.T) {
	tests := []struct {
		name      string
		args      []string
		terminals []int
		want      engine.ImportOptions
		err       string
	}{
		{"a file", []string{"x.tar"}, nil, engine.ImportOptions{Source: "x.tar"}, ""},
		{"standard input", []string{"-", "a:1"}, nil, engine.ImportOptions{Source: "-", Reference: "a:1"}, ""},
		{"a terminal", []string{"-"}, []int{0}, engine.ImportOptions{}, "from a terminal"},
		{"everything", []string{"-c", "CMD a,b", "--change", "ENV A=b", "-m", "text", "--os", "linux", "--arch", "arm64", "--variant", "v8", "http://x/y", "a"}, nil,
			engine.ImportOptions{Source: "http://x/y", Reference: "a", Changes: []string{"CMD a,b", "ENV A=b"}, Message: "text", OS: "linux", Arch: "arm64", Variant: "v8"}, ""},
		{"nothing", nil, nil, engine.ImportOptions{}, "accepts between 1 and 2 arg(s)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.terminal.terminals = tt.terminals
			code := a.run(t, append([]string{"import", "-q"}, tt.args...)...)
			if a.refused(t, code, tt.err) {
				return
			}
			got, _ := a.engine.options.(engine.ImportOptions)
			got.Stdin = nil
			if code != 0 || !reflect.DeepEqual(got, tt.want) || a.out.String() != "sha256:"+strings.Repeat("a", 64)+"\n" {
				t.Errorf("exit code %d, options %+v, output %q, want %+v", code, got, a.out.String(), tt.want)
			}
		})
	}
}
