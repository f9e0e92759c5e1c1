package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, times string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(`{"results":[{"command":"x","times":[`+times+`]}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a1, a2 := write("run.vpod.1.json", "1.0,1.2"), write("run.vpod.2.json", "1.4,1.2")
	b := write("run.podman.1.json", "0.4,0.6")
	only := write("ps.vpod.1.json", "0.0104")

	tests := []struct {
		name string
		args []string
		want string
		fail string
	}{
		{
			name: "medians over rounds, ratio, a missing program",
			args: []string{"run=`run`", "ps=`ps`", a1, b, a2, only},
			want: "| | vpod | podman | ratio |\n| --- | ---: | ---: | ---: |\n" +
				"| `run` | 1200 ms (1000–1400, n=4) | 500 ms (400–600, n=2) | 2.4 |\n" +
				"| `ps` | 10.4 ms (10.4–10.4, n=1) | – | – |\n",
		},
		{name: "name of another form", args: []string{"run=x", "run.json"}, fail: "the form is"},
		{name: "no title", args: []string{a1}, fail: "no title"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := run(&out, tt.args)
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Fatalf("run(%q) = %v; want an error with %q", tt.args, err, tt.fail)
				}
				return
			}
			if err != nil || out.String() != tt.want {
				t.Errorf("run(%q) = %v,\n%s\nwant\n%s", tt.args, err, out.String(), tt.want)
			}
		})
	}
}
