package seccomp

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// adminCaps selects the other half of the default profile.
var adminCaps = append([]string{
	"CAP_SYS_ADMIN", "CAP_AUDIT_WRITE", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE",
	"CAP_SYS_MODULE", "CAP_SYS_TIME", "CAP_SYS_RAWIO", "CAP_DAC_READ_SEARCH",
}, podmanCaps...)

func TestCompileMatchesEvaluator(t *testing.T) {
	operators := load(t, "operators.json")
	strict := &Profile{ // deny-list, for the multiplexers of i386
		DefaultAction: ActAllow,
		ArchMap:       DefaultProfile().ArchMap,
		Syscalls: []Rule{
			{Names: []string{"socket", "semop", "accept"}, Action: ActErrno},
			{Names: []string{"connect"}, Action: ActErrno, Args: []Arg{{Index: 1, Value: 3, Op: OpEqualTo}}},
			{Names: []string{"shmat"}, Action: ActLog, Args: []Arg{{Index: 1, Value: 3, Op: OpEqualTo}}},
		},
	}
	lax := &Profile{
		DefaultAction: ActErrno,
		ArchMap:       DefaultProfile().ArchMap,
		Syscalls: []Rule{
			{Names: []string{"socket", "msgget"}, Action: ActAllow},
			{Names: []string{"bind"}, Action: ActAllow, Args: []Arg{{Index: 1, Value: 3, Op: OpEqualTo}}},
		},
	}
	overlap := &Profile{ // rules that disagree, the first to match decides
		DefaultAction: ActErrno,
		Syscalls: []Rule{
			{Names: []string{"ioctl"}, Action: ActAllow, Args: []Arg{{Index: 1, Value: 10, Op: OpGreaterEqual}}},
			{Names: []string{"ioctl"}, Action: ActTrap, Args: []Arg{{Index: 1, Value: 20, Op: OpLessEqual}}},
			{Names: []string{"ioctl"}, Action: ActLog, Args: []Arg{{Index: 2, Value: 1, Op: OpEqualTo}}},
		},
	}
	for _, tt := range []struct {
		name    string
		profile *Profile
		target  Target
	}{
		{"default", DefaultProfile(), Target{Arch: "amd64", Caps: podmanCaps}},
		{"default, no capabilities", DefaultProfile(), Target{Arch: "amd64"}},
		{"default, many capabilities", DefaultProfile(), Target{Arch: "amd64", Caps: adminCaps}},
		{"default, arm64", DefaultProfile(), Target{Arch: "arm64", Caps: podmanCaps}},
		{"podman 4.3.1", load(t, "podman-4.3.1.json"), Target{Arch: "amd64", Caps: podmanCaps}},
		{"docker", load(t, "docker.json"), Target{Arch: "amd64", Caps: podmanCaps, Kernel: "6.12.1"}},
		{"docker, just new enough", load(t, "docker.json"), Target{Arch: "amd64", Kernel: "4.8"}},
		{"docker, old kernel", load(t, "docker.json"), Target{Arch: "amd64", Caps: podmanCaps, Kernel: "4.7"}},
		{"docker, arm64, all rules", load(t, "docker.json"), Target{Arch: "arm64", Caps: adminCaps}},
		{"operators", operators, Target{Arch: "amd64"}},
		{"operators, foreign architectures", operators, Target{Arch: "arm64"}},
		{"overlapping rules", overlap, Target{Arch: "amd64"}},
		{"deny-list", strict, Target{Arch: "amd64"}},
		{"allow-list", lax, Target{Arch: "amd64"}},
		{"no rules", &Profile{DefaultAction: ActKillProcess}, Target{Arch: "arm64"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prog, err := Compile(tt.profile, tt.target)
			if err != nil {
				t.Fatal(err)
			}
			compareAll(t, tt.profile, tt.target, decode(t, prog))
		})
	}
}

// TestCompileMatchesCrun compares with programs that crun and libseccomp made.
func TestCompileMatchesCrun(t *testing.T) {
	for _, tt := range []struct{ name, profile, program string }{
		{"podman's profile", "podman-4.3.1.json", "podman-4.3.1.crun.bpf"},
		{"every operator", "operators.json", "operators.crun.bpf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", tt.program))
			if err != nil {
				t.Fatal(err)
			}
			theirs := decode(t, raw)
			p := load(t, tt.profile)
			prog, err := Compile(p, Target{Arch: "amd64", Caps: podmanCaps})
			if err != nil {
				t.Fatal(err)
			}
			ours := decode(t, prog)
			t.Logf("%d instructions, crun %d", len(ours), len(theirs))
			compare := func(d data) {
				got, _ := run(ours, &d)
				want, _ := run(theirs, &d)
				if got != want {
					t.Fatalf("arch %#x call %d args %#x: got %s, crun has %s",
						d.arch, d.nr, d.args, actionString(got), actionString(want))
				}
			}
			for _, arch := range []uint32{auditX86_64, auditI386, auditAArch64, 0} {
				for _, nr := range numbersOfInterest() {
					compare(data{nr: nr, arch: arch})
				}
				for _, name := range conditionalNames(p) {
					row := lookup(name)
					for _, a := range []abi{abiX86_64, abiI386, abiX32} {
						for index := range uint(argCount) {
							for _, v := range valuesOfInterest(p, name, index) {
								for _, w := range valuesOfInterest(p, name, (index+1)%argCount) {
									d := data{nr: uint32(row.nr[a]), arch: arch}
									if a == abiX32 {
										// Here libseccomp compares 32 bits, we 64.
										v, w = v&0xffffffff, w&0xffffffff
									}
									d.args[index], d.args[(index+1)%argCount] = v, w
									compare(d)
								}
							}
						}
					}
				}
			}
		})
	}
}

func TestDefaultGolden(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			prog, err := Compile(DefaultProfile(), Target{Arch: arch, Caps: podmanCaps})
			if err != nil {
				t.Fatal(err)
			}
			ins := decode(t, prog)
			audit := map[string]uint32{"amd64": auditX86_64, "arm64": auditAArch64}[arch]
			total, most := 0, 0
			for nr := range uint32(460) {
				_, steps := run(ins, &data{nr: nr, arch: audit})
				total += steps
				most = max(most, steps)
			}
			got := fmt.Sprintf("%d instructions; steps for native calls 0 to 459 with zero arguments: mean %.1f, most %d\n%s",
				len(ins), float64(total)/460, most, disassemble(ins))
			file := filepath.Join("testdata", "default-"+arch+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("program differs from %s; run with -update and read the diff\ngot %.100s\nwant %.100s",
					file, got, want)
			}
		})
	}
}

func TestCompileLongJumps(t *testing.T) {
	p := &Profile{DefaultAction: ActErrno, Architectures: []string{"SCMP_ARCH_X86", "SCMP_ARCH_X32"}}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range table {
		if i%6 == 0 {
			p.Syscalls = append(p.Syscalls, randomRule(r, table[i].name))
		} else if i%2 == 0 {
			p.Syscalls = append(p.Syscalls, Rule{Name: table[i].name, Action: ActAllow})
		}
	}
	target := Target{Arch: "amd64"}
	prog, err := Compile(p, target)
	if err != nil {
		t.Fatal(err)
	}
	ins := decode(t, prog)
	jumps := 0
	for _, in := range ins {
		if in.code == opJump {
			jumps++
		}
	}
	t.Logf("%d instructions, %d long jumps", len(ins), jumps)
	if jumps == 0 {
		t.Error("no long jump, so the test shows nothing: make the profile larger")
	}
	compareAll(t, p, target, ins)
}

func TestCompileTooLarge(t *testing.T) {
	p := &Profile{DefaultAction: ActErrno}
	for i := range 2000 {
		p.Syscalls = append(p.Syscalls, Rule{
			Name: "ioctl", Action: ActAllow,
			Args: []Arg{{Index: 1, Value: uint64(i) << 16, Op: OpEqualTo}},
		})
	}
	if _, err := Compile(p, Target{Arch: "amd64"}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestCompileTarget(t *testing.T) {
	p := &Profile{DefaultAction: ActAllow}
	for _, tt := range []struct {
		name   string
		target Target
		ok     bool
	}{
		{"amd64", Target{Arch: "amd64"}, true},
		{"riscv64", Target{Arch: "riscv64"}, false},
		{"no architecture", Target{}, false},
		{"kernel with suffix", Target{Arch: "arm64", Kernel: "6.12-rc1"}, true},
		{"kernel is text", Target{Arch: "arm64", Kernel: "new"}, false},
		{"kernel without minor", Target{Arch: "arm64", Kernel: "6"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Compile(p, tt.target); (err == nil) != tt.ok {
				t.Errorf("%+v: got %v, want ok %v", tt.target, err, tt.ok)
			}
		})
	}
}

func TestCapabilitySpelling(t *testing.T) {
	long, err := Default([]string{"CAP_SYS_ADMIN"})
	if err != nil {
		t.Fatal(err)
	}
	short, err := Default([]string{"sys_admin"})
	if err != nil {
		t.Fatal(err)
	}
	none, err := Default(nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(long) != string(short) || string(long) == string(none) {
		t.Error("CAP_SYS_ADMIN and sys_admin differ, or neither has effect")
	}
}

// randomRule returns a rule with up to three conditions.
func randomRule(r *rand.Rand, name string) Rule {
	actions := []Action{ActAllow, ActErrno, ActTrap, ActLog, ActKillProcess, ActKill, ActTrace}
	ops := []Operator{
		OpNotEqual, OpLessThan, OpLessEqual, OpEqualTo, OpGreaterEqual, OpGreaterThan, OpMaskedEqual,
	}
	values := []uint64{0, 1, 2, 0xffffffff, 1 << 32, 1<<32 + 1, ^uint64(0), r.Uint64(), r.Uint64() >> 32}
	rule := Rule{Names: []string{name}, Action: actions[r.IntN(len(actions))]}
	if rule.Action == ActErrno {
		n := uint(r.IntN(5))
		rule.ErrnoRet = &n
	}
	for range r.IntN(4) {
		rule.Args = append(rule.Args, Arg{
			Index:    uint(r.IntN(argCount)),
			Op:       ops[r.IntN(len(ops))],
			Value:    values[r.IntN(len(values))],
			ValueTwo: values[r.IntN(len(values))],
		})
	}
	return rule
}

// FuzzCompileRandom compares random profiles, which overlap and contradict
// themselves, with the evaluator.
func FuzzCompileRandom(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, arm bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := &Profile{DefaultAction: ActErrno}
		if r.IntN(2) == 0 {
			p.DefaultAction = ActAllow
		}
		for _, arch := range []string{"SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_S390X"} {
			if r.IntN(2) == 0 {
				p.Architectures = append(p.Architectures, arch)
			}
		}
		names := []string{"socket", "semop", "socketcall", "ipc", "read", "ioctl", "personality", "waitpid", "madvise"}
		for range r.IntN(12) {
			p.Syscalls = append(p.Syscalls, randomRule(r, names[r.IntN(len(names))]))
		}
		target := Target{Arch: "amd64"}
		if arm {
			target.Arch = "arm64"
		}
		prog, err := Compile(p, target)
		if err != nil {
			t.Fatal(err)
		}
		compareAll(t, p, target, decode(t, prog))
	})
}

func load(t *testing.T, name string) *Profile {
	t.Helper()
	p, err := Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
