package cli

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func templateList() []engine.Template {
	return []engine.Template{
		{Key: "0123456789abcdef", Made: testNow.Add(-26 * time.Hour), Used: testNow.Add(-5 * time.Minute), Board: "q35", Accel: "tcg",
			MemoryBytes: 512 << 20, CPUs: 1, Network: "user", Kernel: "/usr/lib/vpod/vmlinux", KernelArgs: []string{"quiet"},
			QEMU: "/usr/bin/qemu-system-x86_64", Dir: "/home/u/.cache/vpod/templates/0123456789abcdef", DiskBytes: 52_700_000},
		{Key: "fedcba9876543210", Made: testNow.Add(-time.Hour), Used: testNow.Add(-time.Hour), Board: "microvm", Accel: "kvm",
			MemoryBytes: 2 << 30, CPUs: 4, Network: "none", ReadOnly: true, DiskBytes: 1_234},
	}
}

func TestTemplateListGolden(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"table", nil},
		{"noheading", []string{"-n"}},
		{"quiet", []string{"--quiet"}},
		{"json", []string{"--format", "json"}},
		{"format", []string{"--format", "{{.Key}} {{.MadeAt}} {{.UsedAt}} {{.MemoryBytes}} {{.ReadOnly}} {{.Kernel}} {{.KernelArgs}} {{.QEMU}} {{.Dir}} {{.DiskBytes}}"}},
		{"format-table", []string{"--format", "table {{.Key}} {{.MadeAt}} {{.UsedAt}} {{.MemoryBytes}} {{.ReadOnly}} {{.KernelArgs}} {{.DiskBytes}}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.engine.templates = templateList()
			if code := a.run(t, append([]string{"system", "template", "ls"}, tt.args...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			golden(t, "templates/"+tt.name+".txt", a.out.String())
		})
	}
	for args, want := range map[string]string{"": "KEY", "-n": "", "-q": "", "--format json": "[]\n"} {
		a := newTestApp(t)
		if code := a.run(t, append([]string{"system", "template", "list"}, strings.Fields(args)...)...); code != 0 || !strings.HasPrefix(a.out.String(), want) {
			t.Errorf("no templates, %q: exit code %d, output %q", args, code, a.out.String())
		}
	}
	a := newTestApp(t)
	if code := a.run(t, "system", "template", "ls", "-q", "--format", "{{.Key}}"); code != 125 {
		t.Errorf("-q with --format: exit code %d, want 125", code)
	}
}

func TestTemplateBuild(t *testing.T) {
	tests := []struct {
		name, args, out string
		code            int
		want            engine.TemplateRequest // the last one
	}{
		{"defaults", "", "key-user\nkey-none\n", 0, engine.TemplateRequest{Network: container.NetworkNone}},
		{"none", "--network none", "key-none\n", 0, engine.TemplateRequest{Network: container.NetworkNone}},
		{"default network", "--net default", "key-user\n", 0, engine.TemplateRequest{Network: container.NetworkUser}},
		{"machine", "-m 1g --cpus 1.5 --machine microvm --accel tcg --kernel-arg quiet --read-only --network user", "key-user\n", 0, engine.TemplateRequest{
			Machine: container.Machine{MemoryBytes: 1 << 30, CPUs: 1.5, Board: "microvm", Accel: "tcg", KernelArgs: []string{"quiet"}},
			Network: container.NetworkUser, ReadOnly: true,
		}},
		{"network", "--network bridge", "", 125, engine.TemplateRequest{}},
		{"memory", "-m x", "", 125, engine.TemplateRequest{}},
		{"argument", "image", "", 125, engine.TemplateRequest{}},
		{"no choice of its own", "--template never", "", 125, engine.TemplateRequest{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			if code := a.run(t, append([]string{"system", "template", "build"}, strings.Fields(tt.args)...)...); code != tt.code || a.out.String() != tt.out {
				t.Fatalf("exit code %d, output %q, want %d and %q: %s", code, a.out.String(), tt.code, tt.out, a.err.String())
			}
			if tt.code == 0 && !reflect.DeepEqual(a.engine.options, tt.want) {
				t.Errorf("request %+v, want %+v", a.engine.options, tt.want)
			}
		})
	}
}

func TestTemplateRm(t *testing.T) {
	missing := &namedError{name: "x", cause: engine.ErrNoTemplate}
	tests := []struct {
		name, args string
		code       int
		want       engine.Selection
		out        string
	}{
		{"by key", "01 fe", 0, engine.Selection{Names: []string{"01", "fe"}}, "01\nfe\n"},
		{"missing", "01 x", 1, engine.Selection{Names: []string{"01", "x"}}, "01\n"},
		{"all", "--all", 0, engine.Selection{All: true}, "0123456789abcdef\n"},
		{"all and a key", "-a 01", 125, engine.Selection{}, ""},
		{"nothing", "", 125, engine.Selection{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.engine.results = func(sel engine.Selection) (all []engine.Result) {
				if sel.All {
					return []engine.Result{{ID: "0123456789abcdef"}}
				}
				for _, name := range sel.Names {
					r := engine.Result{Input: name}
					if name == "x" {
						r.Err = missing
					}
					all = append(all, r)
				}
				return all
			}
			if code := a.run(t, append([]string{"system", "template", "rm"}, strings.Fields(tt.args)...)...); code != tt.code || a.out.String() != tt.out {
				t.Errorf("exit code %d, output %q, want %d and %q: %s", code, a.out.String(), tt.code, tt.out, a.err.String())
			}
			if sel := a.engine.selection; !slices.Equal(sel.Names, tt.want.Names) || sel.All != tt.want.All {
				t.Errorf("selection %+v, want %+v", a.engine.selection, tt.want)
			}
		})
	}
}
