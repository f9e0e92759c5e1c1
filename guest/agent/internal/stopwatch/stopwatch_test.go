package stopwatch

import "testing"

func TestWatch(t *testing.T) {
	w := Start(true)
	w.Lap("a")
	w.Lap("b")
	laps := w.Laps()
	if len(laps) != 2 || laps[0].What != "a" || laps[1].What != "b" || laps[0].Nanos < 0 || laps[1].Nanos < 0 {
		t.Errorf("Laps() = %+v", laps)
	}
	w = Start(false)
	w.Lap("a")
	if w != nil || w.Laps() != nil {
		t.Errorf("Start(false) = %v, Laps() = %v, want nil", w, w.Laps())
	}
}

func TestSinceBoot(t *testing.T) {
	w := SinceBoot("boot")
	w.Lap("a")
	laps := w.Laps()
	if len(laps) != 2 || laps[0].What != "boot" || laps[0].Nanos <= 0 || laps[1].What != "a" {
		t.Errorf("Laps() = %+v", laps)
	}
}

func BenchmarkNobodyAsks(b *testing.B) {
	w := Start(false)
	for b.Loop() {
		w.Lap("a")
	}
}
