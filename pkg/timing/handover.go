package timing

import (
	"encoding/json"
	"os"
)

// handoverVariable carries marks over an exec of the same process.
const handoverVariable = "_VPOD_TIMING"

// HandOver puts what was recorded into the environment, for the program that this
// process is about to become. The function it returns takes it out again, should
// there be no need to execute anything.
func (r *Recorder) HandOver() (undo func()) {
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := json.Marshal(r.marks)
	if err != nil || os.Setenv(handoverVariable, string(b)) != nil {
		return func() {} // the time before is not told of, no more
	}
	return func() { _ = os.Unsetenv(handoverVariable) }
}

// Inherited returns the marks that this process made before it executed this
// program, and takes them out of the environment: neither a child nor a container
// may see them. What somebody else put there is not believed to be more than it is.
func Inherited() []Mark {
	text, ok := os.LookupEnv(handoverVariable)
	if !ok {
		return nil
	}
	_ = os.Unsetenv(handoverVariable)
	var marks []Mark
	if json.Unmarshal([]byte(text), &marks) != nil || len(marks) > maxMarks {
		return nil
	}
	return marks
}
