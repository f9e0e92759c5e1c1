package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func p[T any](v T) *T { return &v }

func TestSettings(t *testing.T) {
	const available = 100 << 20
	for _, tt := range []struct {
		name string
		r    *specs.LinuxResources
		want string // "file=value …"; "!" for an error
	}{
		{"nothing", nil, "memory.max=104857600"},
		{"memory", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(int64(1 << 20)), Swap: p(int64(3 << 20)), Reservation: p(int64(4096))}},
			"memory.max=1048576 memory.swap.max=2097152 memory.low=4096"},
		{"memory beyond what there is", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(int64(1 << 40))}}, "memory.max=104857600"},
		{"unbounded swap", &specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: p(int64(-1))}}, "memory.max=104857600 memory.swap.max=max"},
		{"swap below memory", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(int64(2)), Swap: p(int64(1))}}, "!"},
		{"OOM killer", &specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: p(true)}}, "!"},
		{"cpu", &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: p(uint64(1024)), Quota: p(int64(50000)), Period: p(uint64(100000)), Cpus: "0-1", Mems: "0"}},
			"memory.max=104857600 cpu.weight=39 cpu.max=50000 100000 cpuset.cpus=0-1 cpuset.mems=0"},
		{"unbounded quota", &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: p(int64(-1)), Idle: p(int64(1)), Burst: p(uint64(5))}},
			"memory.max=104857600 cpu.idle=1 cpu.max=max cpu.max.burst=5"},
		{"real time", &specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimePeriod: p(uint64(5))}}, "!"},
		{"pids", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: p(int64(10))}}, "memory.max=104857600 pids.max=10"},
		{"unbounded pids", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: p(int64(-1))}}, "memory.max=104857600 pids.max=max"},
		{"io", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: p(uint16(1000)),
			ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: 8, Minor: 1}, Rate: 7}}}},
			"memory.max=104857600 io.weight=10000 io.max=8:1 rbps=7"},
		{"leaf weight", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{LeafWeight: p(uint16(10))}}, "!"},
		{"huge pages", &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4}}}, "memory.max=104857600 hugetlb.2MB.max=4"},
		{"huge page size with a slash", &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "../x", Limit: 4}}}, "!"},
		{"network", &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: p(uint32(1))}}, "!"},
		{"unified", &specs.LinuxResources{Unified: map[string]string{"memory.high": "5", "cpu.weight": "3"}}, "memory.max=104857600 cpu.weight=3 memory.high=5"},
		{"unified elsewhere", &specs.LinuxResources{Unified: map[string]string{"../memory.high": "5"}}, "!"},
		{"unified without controller", &specs.LinuxResources{Unified: map[string]string{"high": "5"}}, "!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := settings(tt.r, available)
			if (err != nil) != (tt.want == "!") {
				t.Fatalf("settings = %v", err)
			}
			var got []string
			for _, s := range list {
				got = append(got, s.file+"="+s.value)
			}
			if err == nil && strings.Join(got, " ") != tt.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), tt.want)
			}
		})
	}
}

func TestWeight(t *testing.T) {
	for _, tt := range []struct{ shares, want uint64 }{{0, 1}, {2, 1}, {1024, 39}, {262144, 10000}, {1 << 40, 10000}} {
		if got := weight(tt.shares); got != tt.want {
			t.Errorf("weight(%d) = %d, want %d", tt.shares, got, tt.want)
		}
	}
}

// TestGroup uses a plain directory in place of a mounted hierarchy.
func TestGroup(t *testing.T) {
	root := t.TempDir()
	pool := NewPool(root)
	pool.Fill()
	g, err := pool.Take()
	if err != nil {
		t.Fatal(err)
	}
	if other, err := pool.Take(); err != nil || other.Dir() == g.Dir() {
		t.Errorf("a second group: %v, %v", other, err)
	}
	if _, err := NewPool(filepath.Join(root, "none")).Take(); err == nil {
		t.Error("a group in a directory that is not there")
	}
	put := func(name, text string) {
		path := filepath.Join(g.Dir(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("cgroup.procs", "12\n34\n")
	put("below/cgroup.procs", "56\n0\nnonsense\n")
	put("memory.events", "low 0\noom 3\noom_kill 2\n")
	put("memory.max", "")
	pids, err := g.PIDs()
	slices.Sort(pids)
	if err != nil || !slices.Equal(pids, []int{12, 34, 56}) {
		t.Errorf("PIDs = %v, %v", pids, err)
	}
	if n := g.OOMKills(); n != 2 {
		t.Errorf("OOMKills = %d, want 2", n)
	}
	if err := g.Apply(nil, 4096); err != nil {
		t.Errorf("Apply: %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(g.Dir(), "memory.max")); string(b) != "4096" {
		t.Errorf("memory.max = %q", b)
	}
	if err := g.Apply(&specs.LinuxResources{Unified: map[string]string{"no.such": "1"}}, 4096); err == nil {
		t.Error("Apply wrote a file that is not there")
	}
}
