package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// machineFlags describe the virtual machine around the container.
type machineFlags struct {
	memory     string
	cpus       float64
	kernel     string
	kernelArgs []string
	board      string
	accel      string
	changed    func(flag string) bool
}

var (
	boards = []string{"q35", "microvm"}
	accels = []string{"auto", "kvm", "tcg"}
)

func (f *machineFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.StringVarP(&f.memory, "memory", "m", "", "Give the machine this much memory: `number[unit]` (default 512m)")
	flags.Float64Var(&f.cpus, "cpus", 0, "Give the machine this `number` of processors, which may be a fraction")
	flags.StringVar(&f.kernel, "kernel", "", "Boot this `file`, a vmlinux or bzImage, in place of vpod's own kernel")
	flags.StringArrayVar(&f.kernelArgs, "kernel-arg", nil, "Append this `argument` to the kernel's command line")
	flags.Var(newChoice(&f.board, boards...), "machine", "Use this `board`: q35 (default) or microvm")
	flags.Var(newChoice(&f.accel, accels...), "accel", "Run the machine by this `accelerator`: auto (default), kvm or tcg")
}

func (f *machineFlags) apply(m *container.Machine) error {
	if f.memory != "" {
		n, err := parseSize("--memory", f.memory)
		if err != nil {
			return err
		}
		m.MemoryBytes = n
	}
	// NaN fails both comparisons.
	if f.changed("cpus") && !(f.cpus >= 0 && f.cpus <= 1<<16) {
		return fmt.Errorf("--cpus %g: give a number above zero, or 0 for the default", f.cpus)
	}
	m.CPUs = f.cpus
	if f.kernel != "" {
		var err error
		if m.Kernel, err = absFile("--kernel", f.kernel); err != nil {
			return err
		}
	}
	for _, arg := range f.kernelArgs {
		if arg == "" || strings.ContainsAny(arg, "\n\x00") {
			return fmt.Errorf("--kernel-arg %q: give one argument, or several separated by blanks", arg)
		}
	}
	m.KernelArgs = f.kernelArgs
	m.Board, m.Accel = f.board, f.accel
	return nil
}

// templateFlags say whether the machine starts from a saved one.
type templateFlags struct{ template string }

var templateChoices = []string{string(engine.TemplateAuto), string(engine.TemplateNever), string(engine.TemplateAlways)}

func (f *templateFlags) addFlags(flags *pflag.FlagSet) {
	flags.Var(newChoice(&f.template, templateChoices...), "template", "Start the machine from a saved one: auto (default), never or always")
}

func (f *templateFlags) apply(m *container.Machine) { m.Template = f.template }
