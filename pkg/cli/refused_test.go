package cli

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// podmanLists reads testdata/podman/NAME: "COMMAND: WORD WORD …" on each line,
// taken from the help texts of podman 4.3.1.
func podmanLists(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/podman/" + name)
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		command, words, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("%s: %q", name, line)
		}
		lists[command] = strings.Fields(words)
	}
	return lists
}

// Whatever Podman takes is taken, or refused with a reason: "unknown flag" would
// leave the user to guess.
func TestPodmansOptions(t *testing.T) {
	for command, options := range podmanLists(t, "options") {
		for _, option := range options {
			root := newWholeTree(newTestApp(t).App)
			cmd := root
			if command != "vpod" {
				found, rest, err := root.Find(strings.Fields(command))
				if err != nil || len(rest) > 0 {
					t.Fatalf("no command %q", command)
				}
				cmd = found
			}
			cmd.InheritedFlags()
			var unknown *pflag.NotExistError
			if !errors.As(cmd.ParseFlags([]string{option}), &unknown) {
				continue
			}
			if _, ok := refusedFlag(cmd.Name(), unknown); !ok {
				t.Errorf("%s %s is neither taken nor refused", command, option)
			}
		}
	}
}

// So it is with commands.
func TestPodmansCommands(t *testing.T) {
	root := newWholeTree(newTestApp(t).App)
	for group, names := range podmanLists(t, "commands") {
		for _, name := range names {
			path := append(strings.Fields(group)[1:], name)
			if name == "help" {
				continue
			}
			cmd, rest, err := root.Find(path)
			there := err == nil && len(rest) == 0 && cmd != root
			// A verb may be there for images and refused for containers.
			if _, refused := refusedVerb(name); there == refused && !(there && group == "vpod image") {
				t.Errorf("%s %s: there: %t, refused: %t", group, name, there, refused)
			}
		}
	}
}
