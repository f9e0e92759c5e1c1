package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// walk calls f with every command a user sees.
func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			walk(sub, f)
		}
	}
}

func TestHelpGolden(t *testing.T) {
	a := newTestApp(t)
	walk(newWholeTree(a.App), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		a := newTestApp(t)
		if code := a.run(t, append(path, "--help")...); code != 0 {
			t.Errorf("%s --help: exit code %d, want 0; %s", cmd.CommandPath(), code, a.err.String())
		}
		if a.opened != 0 || a.entered != 0 {
			t.Errorf("%s --help opens the engine %d times and enters the user namespace %d times", cmd.CommandPath(), a.opened, a.entered)
		}
		golden(t, "help/"+strings.Join(append([]string{"vpod"}, path...), "-")+".txt", a.out.String())
	})
}

func TestCommandsAreDescribed(t *testing.T) {
	walk(newWholeTree(newTestApp(t).App), func(cmd *cobra.Command) {
		group := cmd.HasSubCommands()
		switch {
		case cmd.Short == "" || strings.HasSuffix(cmd.Short, "."):
			t.Errorf("%s: short description %q, want one without a full stop", cmd.CommandPath(), cmd.Short)
		case !group && !strings.HasSuffix(cmd.Long, "."):
			t.Errorf("%s: long description %q, want a sentence", cmd.CommandPath(), cmd.Long)
		case !group && !strings.HasPrefix(cmd.Example, "  vpod ") && !strings.Contains(cmd.Example, "vpod "):
			t.Errorf("%s: example %q", cmd.CommandPath(), cmd.Example)
		}
	})
}

func TestLongFormsAreTheSame(t *testing.T) {
	root := newWholeTree(newTestApp(t).App)
	for _, pair := range [][2]string{
		{"run", "container run"}, {"create", "container create"}, {"ps", "container ps"}, {"ps", "container list"}, {"rm", "container rm"},
		{"exec", "container exec"}, {"logs", "container logs"}, {"images", "image list"}, {"rmi", "image rm"}, {"pull", "image pull"},
	} {
		short, _, err := root.Find(strings.Fields(pair[0]))
		if err != nil {
			t.Fatal(err)
		}
		long, _, err := root.Find(strings.Fields(pair[1]))
		if err != nil {
			t.Fatal(err)
		}
		if s, l := short.LocalFlags().FlagUsages(), long.LocalFlags().FlagUsages(); s != l {
			t.Errorf("options of %s and %s differ:\n%s\n%s", pair[0], pair[1], s, l)
		}
	}
}

func TestRunHasTheFlagsOfCreate(t *testing.T) {
	root := newWholeTree(newTestApp(t).App)
	run, _, _ := root.Find([]string{"run"})
	create, _, _ := root.Find([]string{"create"})
	for _, line := range strings.Split(create.LocalFlags().FlagUsages(), "\n") {
		name := strings.Fields(strings.TrimSpace(line) + " -")[0]
		if !strings.Contains(run.LocalFlags().FlagUsages(), name) {
			t.Errorf("create has %s and run has not", name)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		name, line string
		code       int
		wants      []string
	}{
		{"no command", "", 125, []string{"Error: missing command 'vpod COMMAND'"}},
		{"no command of a group", "container", 125, []string{"Error: missing command 'vpod container COMMAND'"}},
		{"unknown command", "frob", 125, []string{"Error: unrecognized command `vpod frob`\n", "See 'vpod --help'"}},
		{"near command", "rnu", 125, []string{"did you mean", "run"}},
		{"unknown command of a group", "container frob", 125, []string{"Error: unrecognized command `vpod container frob`"}},
		{"unknown flag", "ps --frob", 125, []string{"Error: unknown flag: --frob\n", "See 'vpod ps --help'"}},
		{"unknown short flag", "ps -Z", 125, []string{"Error: unknown shorthand flag: 'Z' in -Z"}},
		{"missing value", "run --name", 125, []string{"Error: flag needs an argument: --name"}},
		{"bad value", "ps --last x", 125, []string{`invalid argument "x" for "-n, --last" flag`}},
		{"bad choice", "ps --sort x", 125, []string{"choose from command, created"}},
		{"no image", "run", 125, []string{"Error: requires at least 1 arg(s), only received 0"}},
		{"refused with a hint", "run --volume a:b x", 125, []string{"Error: --volume: ", "\nHint: for scratch space use --tmpfs"}},
		{"refused, short", "create -v a:b x", 125, []string{"Error: -v: "}},
		{"refused, short in a group", "run -itP x", 125, []string{"Error: -P: "}},
		{"refused for create alone", "create -d x", 125, []string{"Error: -d: create starts nothing"}},
		{"refused pod", "run --pod p x", 125, []string{"Error: --pod: vpod has no pods: a machine holds one container\n", "\nHint: "}},
		{"command of Podman's", "pod ps", 125, []string{"Error: unrecognized command `vpod pod`: vpod has no pods: a machine holds one container\n", "\nHint: run the containers one by one"}},
		{"command of Podman's in a group", "container cp a b", 125, []string{"Error: unrecognized command `vpod container cp`: ", "\nHint: "}},
		{"refused for prune", "system prune --volumes", 125, []string{"Error: --volumes: the volumes of a container"}},
		{"refused at the root", "--url x ps", 125, []string{"Error: --url: "}},
		{"not refused for others", "stop --volume x", 125, []string{"Error: unknown flag: --volume"}},
		{"bad level", "--log-level loud ps", 125, []string{"trace, debug"}},
		{"version", "--version", 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			if code := a.run(t, strings.Fields(tt.line)...); code != tt.code {
				t.Errorf("vpod %s: exit code %d, want %d", tt.line, code, tt.code)
			}
			for _, want := range tt.wants {
				if !strings.Contains(a.err.String(), want) {
					t.Errorf("vpod %s: standard error\n%s\nlacks %q", tt.line, a.err.String(), want)
				}
			}
			if a.opened != 0 {
				t.Errorf("vpod %s opens the engine", tt.line)
			}
		})
	}
}

// A refused flag that a command has learned would never be looked up.
func TestRefusedFlagsAreUnknown(t *testing.T) {
	root := newWholeTree(newTestApp(t).App)
	for _, r := range refusals() {
		for _, verb := range r.verbs {
			for _, path := range [][]string{{verb}, {"container", verb}, {"image", verb}} {
				cmd, rest, err := root.Find(path)
				if err != nil || len(rest) > 0 {
					continue
				}
				for _, name := range r.flags {
					known := cmd.Flags().Lookup(name) != nil
					if len(name) == 1 {
						known = cmd.Flags().ShorthandLookup(name) != nil
					}
					if known {
						t.Errorf("%s has the flag %s, which the table refuses", cmd.CommandPath(), name)
					}
				}
			}
		}
	}
}

func TestOnlyImageVerbsEnterTheUserNamespace(t *testing.T) {
	enters := map[string]bool{
		"vpod create": true, "vpod run": true, "vpod pull": true, "vpod images": true, "vpod rmi": true, "vpod tag": true, "vpod untag": true,
		"vpod load": true, "vpod save": true, "vpod info": true, "vpod release": true,
		"vpod container create": true, "vpod container run": true,
		"vpod image pull": true, "vpod image list": true, "vpod image rm": true, "vpod image tag": true, "vpod image untag": true,
		"vpod image load": true, "vpod image save": true, "vpod image inspect": true, "vpod image exists": true, "vpod image prune": true,
		"vpod system prune": true, "vpod oci create": true,
		"vpod build": true, "vpod buildx build": true, "vpod image build": true, "vpod system df": true,
		"vpod commit": true, "vpod container commit": true,
		"vpod manifest add": true, "vpod manifest annotate": true, "vpod manifest create": true, "vpod manifest exists": true,
		"vpod manifest inspect": true, "vpod manifest push": true, "vpod manifest remove": true, "vpod manifest rm": true,
		"vpod import": true, "vpod image import": true,
		"vpod history": true, "vpod image history": true, "vpod image tree": true,
		"vpod push": true, "vpod image push": true, "vpod search": true, "vpod image search": true,
	}
	var all func(cmd *cobra.Command)
	all = func(cmd *cobra.Command) {
		if got := cmd.Annotations[needsStore] != ""; got != enters[cmd.CommandPath()] {
			t.Errorf("%s enters the user namespace: %v, want %v", cmd.CommandPath(), got, enters[cmd.CommandPath()])
		}
		for _, sub := range cmd.Commands() {
			all(sub)
		}
	}
	all(newWholeTree(newTestApp(t).App))
}

func TestStoreIsEnteredBeforeTheVerb(t *testing.T) {
	a := newTestApp(t)
	a.run(t, "images")
	if a.entered != 1 || a.opened != 1 {
		t.Errorf("images entered the user namespace %d times and opened the engine %d times, want once each", a.entered, a.opened)
	}
	a.run(t, "ps")
	if a.entered != 1 {
		t.Errorf("ps entered the user namespace")
	}
}

// The tree is built by every command: a `ps` should take 10 ms in all.
func BenchmarkNewRootCommand(b *testing.B) {
	for b.Loop() {
		app := NewApp([]string{"vpod"})
		app.prepare(newRootCommand(app), []string{"run"})
	}
}
