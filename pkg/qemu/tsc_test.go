package qemu

import (
	"errors"
	"reflect"
	"testing"
)

func TestTSCArgs(t *testing.T) {
	tests := []struct {
		name    string
		khz, hz int64
		want    []string
	}{
		{"own kernel", 2_100_000, GuestHZ, []string{"tsc_early_khz=2100000", "lpj=21000000"}},
		{"another tick", 2_100_000, 250, []string{"tsc_early_khz=2100000", "lpj=8400000"}},
		{"unknown tick", 2_100_000, 0, []string{"tsc_early_khz=2100000", "tsc=reliable"}},
		{"not measured", 0, GuestHZ, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := TSCArgs(tt.khz, tt.hz); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("TSCArgs(%d, %d) = %q, want %q", tt.khz, tt.hz, got, tt.want)
			}
		})
	}
}

// TestMeasureTSC: measurements agree with each other to the 2 % a guest's calibration needs, also under load.
func TestMeasureTSC(t *testing.T) {
	first, err := MeasureTSC()
	if errors.Is(err, ErrNoTSC) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	second, err := MeasureTSC()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kHz, %d kHz", first, second)
	if diff := first - second; diff > first/50 || -diff > first/50 {
		t.Errorf("%d kHz and then %d kHz", first, second)
	}
}
