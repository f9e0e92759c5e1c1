package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one", []float64{7}, 7},
		{"odd, not sorted", []float64{9, 1, 5}, 5},
		{"even: the mean of the two in the middle", []float64{4, 1, 2, 100}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.values); got != tt.want {
				t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
			}
		})
	}
}

func TestReached(t *testing.T) {
	both := func(a, b float64) map[string][]float64 {
		return map[string][]float64{ours: {a}, theirs: {b}}
	}
	for _, tt := range []struct {
		name string
		row  row
		want string
	}{
		{"no goal", row{Samples: both(1, 1)}, ""},
		{"the second", row{Goal: &goal{ofRatio, 2, 1}, Samples: both(10, 10)}, "then"},
		{"the first", row{Goal: &goal{ofRatio, 2, 1}, Samples: both(20, 10)}, "first"},
		{"none", row{Goal: &goal{ofRatio, 2, 1}, Samples: both(21, 10)}, "none"},
		{"no podman, no ratio", row{Goal: &goal{ofRatio, 2, 1}, Samples: map[string][]float64{ours: {1}}}, "unknown"},
		{"a value needs no podman", row{Goal: &goal{ofValue, 45, 35}, Samples: map[string][]float64{ours: {40}}}, "first"},
		{"nothing measured", row{Goal: &goal{ofValue, 45, 35}}, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.row.reached(); got != tt.want {
				t.Errorf("reached() = %q, want %q", got, tt.want)
			}
		})
	}
}

func testReport() report {
	return report{
		Environment: environment{Date: "2024-05-01", CPU: "Some CPU", Processors: 2, MemoryBytes: 24 << 30, Kernel: "6.1", User: "root",
			LoadBefore: "0.10 0.20 0.30", LoadAfter: "1.00 0.20 0.30", Vpod: "0.1.0", QEMU: "QEMU 7.2", Accelerator: "tcg", Board: "q35", GuestKernel: "6.12", Podman: "podman version 4.3.1", Runtime: "crun version 1.8.1"},
		Rows: []row{
			{Name: "run/wall", Title: "`run … true`", Unit: milliseconds, Goal: &goal{ofRatio, 2, 1}, Samples: map[string][]float64{ours: {300, 200, 400}, theirs: {200, 200, 100}}},
			{Name: "files/sequential", Title: "read", Unit: throughput, Samples: map[string][]float64{ours: {250}, theirs: {1000}}, Notes: []string{"warm"}},
			{Name: "memory/10", Title: "memory", Unit: mebibytes, Goal: &goal{ofValue, 45, 35}, Samples: map[string][]float64{ours: {50.25}}},
			{Name: "boards/x", Title: "from a template", Unit: milliseconds, Samples: map[string][]float64{}, Notes: []string{"not in this build", "warm"}},
		},
	}
}

const testMarkdown = `vpod 0.1.0, QEMU 7.2: emulated (TCG), board q35, guest kernel 6.12, every start cold.
podman version 4.3.1, crun version 1.8.1.
2 × Some CPU, 24 GiB, Linux 6.1, as root, on 2024-05-01; load average 0.10 0.20 0.30 before, 1.00 0.20 0.30 after.
Medians (lowest–highest, runs), the programs in turns; image converted, caches of the host warm.

|  | vpod | podman | ratio | goal |
| --- | ---: | ---: | ---: | --- |
| ` + "`run … true`" + ` | 300 ms (200–400, 3) | 200 ms (100–200, 3) | 1.50 | 2, then 1: the first reached |
| read (1) | 250 MiB/s (1) | 1000 MiB/s (1) | 0.25 (more is better) |  |
| memory | 50.2 MiB (1) | – | – | 45 MiB, then 35 MiB: not reached |
| from a template (2) (1) | – | – | – |  |

1. warm.
2. not in this build.
`

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := testReport().writeMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	if out.String() != testMarkdown {
		t.Errorf("writeMarkdown() =\n%s\nwant\n%s", out.String(), testMarkdown)
	}
}

func TestReadReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	var out, progress strings.Builder
	if err := testReport().write(options{json: path}, &out); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := run(t.Context(), []string{"--from", path, "--markdown"}, &out, &progress); err != nil || out.String() != testMarkdown {
		t.Errorf("--from prints, with %v,\n%s\nwant\n%s", err, out.String(), testMarkdown)
	}
	out.Reset()
	if err := run(t.Context(), []string{"--from", path, "--markdown", "--only", "memory"}, &out, &progress); err != nil || strings.Contains(out.String(), "read") || !strings.Contains(out.String(), "| memory |") {
		t.Errorf("--from with --only prints, with %v,\n%s", err, out.String())
	}
}

func TestText(t *testing.T) {
	var out strings.Builder
	if err := testReport().writeText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"                         vpod                 podman               ratio", "run … true               300 ms (200–400, 3)", "2. not in this build."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("writeText() =\n%s\nwithout %q", out.String(), want)
		}
	}
}

func TestEnvironmentSaysWhatIsNotAsItShouldBe(t *testing.T) {
	e := testReport().Environment
	e.NoPodman, e.LoadBefore, e.Quick, e.Templates = "podman is not installed", "3.00 1 1", true, true
	got := strings.Join(e.lines(), "\n")
	for _, want := range []string{"podman is not installed: vpod's figures alone", "not quiet", "Few runs", "started from templates"} {
		if !strings.Contains(got, want) {
			t.Errorf("lines() =\n%s\nwithout %q", got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := testReport().writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Environment struct{ Accelerator string }
		Rows        []struct {
			Name, Unit, Reached string
			Ratio               *float64
			Samples             map[string][]float64
			Summary             map[string]struct{ Median, Lowest, Highest float64 }
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	r := got.Rows[0]
	if r.Name != "run/wall" || r.Ratio == nil || *r.Ratio != 1.5 || r.Reached != "first" || len(r.Samples[ours]) != 3 || r.Summary[theirs].Lowest != 100 {
		t.Errorf("the first row is %+v in\n%s", r, out.String())
	}
	if got.Environment.Accelerator != "tcg" || got.Rows[3].Ratio != nil {
		t.Errorf("got\n%s", out.String())
	}
}
