package timing

import (
	"os"
	"reflect"
	"sync"
	"testing"
	"time"
)

func TestNilRecorder(t *testing.T) {
	var r *Recorder
	r.Mark("a")
	r.Add(Mark{})
	r.Use(Usage{})
	r.Join(&Record{})
	r.MeasureMachine(func() time.Duration { panic("asked") })
	r.HandOver()()
	if rec := r.Take(); rec != nil {
		t.Errorf("Take() = %+v, want nil", rec)
	}
	if rep := r.Report(); !reflect.DeepEqual(rep, Report{}) {
		t.Errorf("Report() = %+v, want nothing", rep)
	}
}

func TestRecorder(t *testing.T) {
	r := New(Monitor)
	before := Now()
	r.Mark("a")
	r.MeasureMachine(func() time.Duration { return 5 })
	r.Use(Usage{Process: QEMU, UserNanos: 1})
	r.Use(Usage{Process: QEMU, UserNanos: 2}, Usage{Process: "passt"})
	r.Join(nil)
	r.Join(&Record{Marks: []Mark{{By: Guest, What: "b", AtNanos: before}}})
	r.Mark("c")
	rec := r.Take()
	if len(rec.Marks) != 3 {
		t.Fatalf("%d marks, want 3: %+v", len(rec.Marks), rec.Marks)
	}
	a, c := rec.Marks[0], rec.Marks[2]
	if a.By != Monitor || a.What != "a" || a.AtNanos < before || a.Host <= 0 || a.Machine != 0 {
		t.Errorf("first mark %+v", a)
	}
	if c.AtNanos < a.AtNanos || c.Host < a.Host || c.Machine != 5 {
		t.Errorf("last mark %+v after %+v", c, a)
	}
	if want := []Usage{{Process: QEMU, UserNanos: 2}, {Process: "passt"}}; !reflect.DeepEqual(rec.Usage, want) {
		t.Errorf("usage %+v, want %+v", rec.Usage, want)
	}
	if rec := r.Take(); len(rec.Marks)+len(rec.Usage) != 0 {
		t.Errorf("taken twice: %+v", rec)
	}
}

func TestRecorderIsBounded(t *testing.T) {
	r := New(Vpod)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range maxMarks {
				r.Mark("again")
			}
		})
	}
	wg.Wait()
	if n := len(r.Take().Marks); n != maxMarks {
		t.Errorf("%d marks kept, want %d", n, maxMarks)
	}
}

func TestHandOver(t *testing.T) {
	if got := Inherited(); got != nil {
		t.Fatalf("Inherited() = %+v before anything was handed over", got)
	}
	r := New(Vpod)
	r.Mark("a")
	undo := r.HandOver()
	got := Inherited()
	if want := r.Take().Marks; !reflect.DeepEqual(got, want) {
		t.Errorf("Inherited() = %+v, want %+v", got, want)
	}
	r.HandOver()
	undo()
	if v, ok := os.LookupEnv(handoverVariable); ok {
		t.Errorf("undone, the environment holds %s", v)
	}
	for _, text := range []string{"", "[", "{}", "7"} {
		t.Setenv(handoverVariable, text)
		if got := Inherited(); got != nil {
			t.Errorf("Inherited() of %q = %+v, want nothing", text, got)
		}
	}
}

func TestOwnUsage(t *testing.T) {
	for began := Now(); Now()-began < 2e6; { // what is too little to count would be zero
	}
	u := OwnUsage(Vpod)
	if u.Process != Vpod || u.UserNanos+u.SystemNanos <= 0 {
		t.Errorf("OwnUsage() = %+v", u)
	}
}

func BenchmarkNobodyAsks(b *testing.B) {
	var r *Recorder
	for b.Loop() {
		r.Mark("a")
	}
}

func BenchmarkMark(b *testing.B) {
	r := New(Vpod)
	for b.Loop() {
		r.Mark("a")
		r.marks = r.marks[:0]
	}
}
