package timing

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// aStart are the marks of a start, out of order as they come from several processes.
func aStart() ([]Mark, []Usage) {
	const t0 = 1_000_000_000
	return []Mark{
			{Vpod, "execute the program", t0, 900_000, 0},
			{Vpod, "initialise the program", t0 + 6_000_000, 6_500_000, 0},
			{Vpod, "spawn the monitor", t0 + 20_000_000, 9_000_000, 0},
			{Vpod, "hear of the end", t0 + 190_000_000, 11_000_000, 0},
			{Monitor, "execute the program", t0 + 19_000_000, 400_000, 0},
			{Monitor, "load the saved machine", t0 + 60_000_000, 2_400_000, 30_000_000},
			{Guest, "assemble the root file system", t0 + 100_000_000, 0, 0},
			{Monitor, "the process is started", t0 + 120_000_000, 3_000_000, 80_000_000},
			{Monitor, "end QEMU", t0 + 180_000_000, 2_900_000, 79_000_000}, // counters that run backward
		}, []Usage{
			{"passt", 1_000_000, 2_000_000}, {QEMU, 70_000_000, 10_000_000},
			{Vpod, 8_000_000, 3_000_000}, {Monitor, 2_000_000, 1_000_000},
		}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name   string
		marks  []Mark
		total  int64
		phases []Phase
	}{
		{"nothing", nil, 0, nil},
		{"only a beginning", []Mark{{Vpod, "a", 5, 1, 0}}, 0, nil},
		{
			"one process", []Mark{{Vpod, "a", 5, 1, 0}, {Vpod, "b", 9, 4, 0}, {Vpod, "c", 10, 4, 0}}, 5,
			[]Phase{{Vpod, "b", 0, 4, 3, 0}, {Vpod, "c", 4, 1, 0, 0}},
		},
		{
			"two, out of order",
			[]Mark{{Monitor, "x", 7, 2, 0}, {Vpod, "c", 10, 6, 0}, {Monitor, "y", 8, 3, 40}, {Vpod, "a", 5, 1, 0}},
			5,
			[]Phase{{Monitor, "x", 0, 2, 2, 0}, {Monitor, "y", 2, 1, 1, 40}, {Vpod, "c", 3, 2, 5, 0}},
		},
		{
			"at the same moment, as they were made", []Mark{{Vpod, "a", 5, 1, 0}, {Vpod, "b", 5, 1, 0}, {Vpod, "c", 5, 1, 0}}, 0,
			[]Phase{{Vpod, "b", 0, 0, 0, 0}, {Vpod, "c", 0, 0, 0, 0}},
		},
		{
			"processor time that is not known", []Mark{{Vpod, "a", 5, 1, 0}, {Guest, "b", 6, 0, 0}, {Vpod, "c", 7, 2, 0}}, 2,
			[]Phase{{Guest, "b", 0, 1, 0, 0}, {Vpod, "c", 1, 1, 1, 0}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.marks)
			got := newReport(tt.marks, nil)
			if got.TotalNanos != tt.total || !reflect.DeepEqual(got.Phases, tt.phases) {
				t.Errorf("newReport() = %d, %+v\nwant %d, %+v", got.TotalNanos, got.Phases, tt.total, tt.phases)
			}
			if !slices.Equal(before, tt.marks) {
				t.Errorf("the marks have been changed")
			}
		})
	}
}

func TestPhasesAddUp(t *testing.T) {
	marks, usage := aStart()
	r := newReport(marks, usage)
	var took, host, machine int64
	for _, p := range r.Phases {
		if p.BeginNanos != took {
			t.Errorf("phase %q begins at %d, want %d", p.What, p.BeginNanos, took)
		}
		took, host, machine = took+p.TookNanos, host+p.HostNanos, machine+p.MachineNanos
	}
	if took != r.TotalNanos || took != 190_000_000 {
		t.Errorf("the phases took %d of %d", took, r.TotalNanos)
	}
	if host != 10_100_000+3_000_000 || machine != 80_000_000 {
		t.Errorf("processor time %d and %d of the machine", host, machine)
	}
}

func TestGolden(t *testing.T) {
	marks, usage := aStart()
	r := newReport(marks, usage)
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"report.txt": text.String(), "report.json": string(b) + "\n"} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs (go test ./pkg/timing -update rewrites it):\n got:\n%s\nwant:\n%s", name, got, want)
		}
	}
}
