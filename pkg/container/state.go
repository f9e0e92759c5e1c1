package container

import (
	"fmt"
	"slices"
)

// State is where a container is in its life. It is machine-readable; `ps`
// prints a status made from it.
type State string

// The states. The record stores the last one written; a container is running
// only while its monitor holds the container's liveness lock.
const (
	Created  State = "created"  // its command never ran
	Starting State = "starting" // the machine is being started
	Running  State = "running"  // its first process runs, or is about to be restarted
	Stopping State = "stopping" // stop was asked for
	Exited   State = "exited"   // its machine is gone
	Removing State = "removing" // remove has begun and must be finished
)

// transitions is the one table of what may follow what; docs/design/state.md
// prints it and a test compares the two.
var transitions = map[State][]State{
	Created:  {Starting, Removing},
	Starting: {Running, Exited, Stopping, Created},
	Running:  {Stopping, Exited},
	Stopping: {Exited},
	Exited:   {Starting, Removing},
	Removing: {Removing},
}

// States lists every state in the order of a container's life.
func States() []State {
	return []State{Created, Starting, Running, Stopping, Exited, Removing}
}

// CanBecome reports whether next may follow s.
func (s State) CanBecome(next State) bool { return slices.Contains(transitions[s], next) }

// Live reports whether a container in this state has a monitor.
func (s State) Live() bool { return s == Starting || s == Running || s == Stopping }

// StateError reports a verb refused by the container's current state.
type StateError struct {
	Name string // as the user knows the container
	Have State
	Verb string // as "start"
	Hint string // what to do instead; may be empty
}

func (e *StateError) Error() string {
	msg := fmt.Sprintf("cannot %s container %s: it is %s", e.Verb, e.Name, e.Have)
	if e.Hint != "" {
		msg += "; " + e.Hint
	}
	return msg
}
