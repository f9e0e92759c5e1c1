package monitor

import "os"

// Where the kernel's out-of-memory killer looks for this process's score, and
// the score of a monitor: low, since it is what can say that its machine was killed.
const (
	oomFile  = "/proc/self/oom_score_adj"
	oomScore = "-900"
)

// oomGuard lowers the monitor's score and raises it again around the start of
// processes, which inherit it. Without privileges it does nothing.
type oomGuard struct{ before []byte }

func newOOMGuard() oomGuard {
	before, err := os.ReadFile(oomFile)
	if err != nil {
		return oomGuard{}
	}
	return oomGuard{before: before}
}

func (g oomGuard) protect() { g.set([]byte(oomScore)) }
func (g oomGuard) relax()   { g.set(g.before) }

func (g oomGuard) set(score []byte) {
	if len(g.before) > 0 {
		_ = os.WriteFile(oomFile, score, 0) // refused without CAP_SYS_RESOURCE
	}
}
