package container

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTransitions(t *testing.T) {
	allowed := map[[2]State]bool{
		{Created, Starting}: true, {Created, Removing}: true,
		{Starting, Running}: true, {Starting, Exited}: true, {Starting, Stopping}: true, {Starting, Created}: true,
		{Running, Stopping}: true, {Running, Exited}: true,
		{Stopping, Exited}: true,
		{Exited, Starting}: true, {Exited, Removing}: true,
		{Removing, Removing}: true,
	}
	for _, from := range States() {
		for _, to := range States() {
			if got := from.CanBecome(to); got != allowed[[2]State{from, to}] {
				t.Errorf("%s can become %s: %v", from, to, got)
			}
		}
		if from.CanBecome("") || State("").CanBecome(from) || State("unknown").CanBecome(from) {
			t.Errorf("%s and an unknown state follow each other", from)
		}
	}
}

// TestTransitionsAreDocumented compares the table with the one people read.
func TestTransitionsAreDocumented(t *testing.T) {
	const page = "../../docs/design/state.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[State][]State{}
	var order []State
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 { // "", state, what it may become, ""
			continue
		}
		from := State(strings.TrimSpace(cells[1]))
		if from == "state" || strings.HasPrefix(string(from), "---") {
			continue
		}
		order = append(order, from)
		for next := range strings.SplitSeq(cells[2], ",") {
			documented[from] = append(documented[from], State(strings.TrimSpace(next)))
		}
	}
	if !slices.Equal(order, States()) {
		t.Errorf("%s lists the states %v, want %v", page, order, States())
	}
	for _, from := range States() {
		got, want := slices.Sorted(slices.Values(documented[from])), slices.Sorted(slices.Values(transitions[from]))
		if !slices.Equal(got, want) {
			t.Errorf("%s says that %s may become %v, want %v", page, from, got, want)
		}
	}
}

// TestTransitionsLead shows that every container can be removed, and that what
// lives ends first.
func TestTransitionsLead(t *testing.T) {
	for _, from := range States() {
		reached := []State{from}
		for i := 0; i < len(reached); i++ {
			for _, next := range transitions[reached[i]] {
				if !slices.Contains(reached, next) {
					reached = append(reached, next)
				}
			}
		}
		if !slices.Contains(reached, Removing) {
			t.Errorf("%s never leads to %s", from, Removing)
		}
		if from.Live() && from.CanBecome(Removing) {
			t.Errorf("%s is live and can become %s", from, Removing)
		}
	}
	if len(transitions) != len(States()) {
		t.Errorf("%d states have transitions, there are %d", len(transitions), len(States()))
	}
}

func TestLive(t *testing.T) {
	want := []State{Starting, Running, Stopping}
	var got []State
	for _, s := range States() {
		if s.Live() {
			got = append(got, s)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("live states = %v, want %v", got, want)
	}
}

func TestStateError(t *testing.T) {
	tests := []struct {
		err  StateError
		want string
	}{
		{StateError{Name: "web", Have: Running, Verb: "start"}, "cannot start container web: it is running"},
		{StateError{Name: "web", Have: Running, Verb: "remove", Hint: "stop it first, or use --force"}, "cannot remove container web: it is running; stop it first, or use --force"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("StateError = %q, want %q", got, tt.want)
		}
	}
}
