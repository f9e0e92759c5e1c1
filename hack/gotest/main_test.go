package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want totals
		says []string
		not  []string
	}{
		{
			name: "passes and subtests",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"noise\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p","Elapsed":1.5}`,
			},
			want: totals{passed: 1},
			says: []string{"ok   p  1.5 s"},
			not:  []string{"noise"},
		},
		{
			name: "failure shows its log with that of its subtests",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"x_test.go:1: got 1, want 2\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA/x"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: totals{failed: 1},
			says: []string{"FAIL p TestA", "got 1, want 2"},
		},
		{
			name: "skip says why",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: needs root\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
			},
			want: totals{skipped: 1},
			says: []string{"skip p TestA: a_test.go:3: needs root"},
		},
		{
			name: "package that does not build counts as one failure",
			in: []string{
				`{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: undefined: x\n"}`,
				`{"ImportPath":"p [p.test]","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			},
			want: totals{failed: 1},
			says: []string{"undefined: x", "build failed"},
		},
		{
			name: "lines that are no events are passed on",
			in:   []string{`go: warning`, `{"Action":"skip","Package":"p"}`},
			says: []string{"go: warning"},
			not:  []string{"none p"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			got, err := report(strings.NewReader(strings.Join(tt.in, "\n")+"\n"), &out)
			if err != nil || got != tt.want {
				t.Errorf("report = %+v, %v; want %+v", got, err, tt.want)
			}
			for _, s := range tt.says {
				if !strings.Contains(out.String(), s) {
					t.Errorf("report says %q; want %q in it", out.String(), s)
				}
			}
			for _, s := range tt.not {
				if strings.Contains(out.String(), s) {
					t.Errorf("report says %q; want no %q in it", out.String(), s)
				}
			}
		})
	}
}
