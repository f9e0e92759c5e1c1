package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// collectedAt is how much the heap may grow before it is collected, in percent.
func collectedAt() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// collected lets the collector run until that has shown.
func collected(wanted uint64) uint64 {
	for end := time.Now().Add(20 * time.Second); collectedAt() != wanted && time.Now().Before(end); time.Sleep(time.Millisecond) {
		runtime.GC()
	}
	return collectedAt()
}

func TestCollectLate(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)

	t.Setenv("GOGC", "")
	collectLate()
	if got := collectedAt(); got != firstCollection {
		t.Errorf("%d %% at first, want %d", got, firstCollection)
	}
	if got := collected(100); got != 100 {
		t.Errorf("%d %% after a collection, want 100", got)
	}

	collectLate()
	debug.SetGCPercent(25) // as a monitor does
	for range 3 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if got := collectedAt(); got != 25 {
		t.Errorf("%d %% after a collection, want the 25 chosen meanwhile", got)
	}
	debug.SetGCPercent(100)

	t.Setenv("GOGC", "50")
	collectLate()
	if got := collectedAt(); got != 100 {
		t.Errorf("%d %% though GOGC is set, want what it was", got)
	}
}
