package container

import (
	"slices"
	"testing"
)

func TestTransitions(t *testing.T) {
	allowed := map[[2]State]bool{
		{Created, Starting}: true, {Created, Removing}: true,
		{Starting, Running}: true, {Starting, Exited}: true, {Starting, Stopping}: true,
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
