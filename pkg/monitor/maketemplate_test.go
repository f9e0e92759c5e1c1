package monitor

import (
	"errors"
	"log/slog"
	"testing"
	"time"
)

func TestUntilUp(t *testing.T) {
	hang, other := &hangError{timeout: time.Second}, errors.New("QEMU gave up")
	tests := []struct {
		name  string
		ends  []error // of one attempt after another
		boots int
		want  error
	}{
		{"it comes up", []error{nil}, 1, nil},
		{"it hangs once", []error{hang, nil}, 2, nil},
		{"it always hangs", []error{hang, hang, nil}, bootAttempts, hang},
		{"it fails", []error{other, nil}, 1, other},
		{"it hangs and fails", []error{hang, other}, 2, other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			boots := 0
			up, err := untilUp(slog.New(slog.DiscardHandler), func() (int, error) {
				boots++
				return boots, tt.ends[boots-1]
			})
			if boots != tt.boots || up != boots || !errors.Is(err, tt.want) {
				t.Errorf("booted %d times: %d, %v; want %d times and %v", boots, up, err, tt.boots, tt.want)
			}
		})
	}
}
