package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckKVM(t *testing.T) {
	dir := t.TempDir()
	openable := filepath.Join(dir, "kvm")
	write(t, openable, nil)
	tests := []struct{ name, device, want string }{
		{"openable", openable, ""},
		{"missing", filepath.Join(dir, "none"), "no " + filepath.Join(dir, "none")},
		{"a directory", dir, dir + " cannot be opened: is a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := CheckKVM(tt.device); got != tt.want {
				t.Errorf("CheckKVM = %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("forbidden", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may open everything")
		}
		if err := os.Chmod(openable, 0); err != nil {
			t.Fatal(err)
		}
		if got := CheckKVM(openable); !strings.Contains(got, "join the group kvm") {
			t.Errorf("CheckKVM = %q, want the group", got)
		}
	})
}

func TestProbeKVM(t *testing.T) {
	tests := []struct {
		name   string
		boot   func(context.Context) error
		works  bool
		reason string
	}{
		{"boots", func(context.Context) error { return nil }, true, ""},
		{"hangs", func(ctx context.Context) error { <-ctx.Done(); return errors.New("killed") }, false,
			"/dev/kvm opens but did not boot the guest kernel within 50ms"},
		{"aborts", func(context.Context) error { return errors.New("error: failed to set MSR 0x10a") }, false,
			"/dev/kvm opens but did not boot the guest kernel: error: failed to set MSR 0x10a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ProbeKVM(t.Context(), 50*time.Millisecond, tt.boot)
			if err != nil || got.Works != tt.works || got.Reason != tt.reason {
				t.Errorf("ProbeKVM = %+v, %v; want %v %q", got, err, tt.works, tt.reason)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		got, err := ProbeKVM(ctx, time.Minute, func(context.Context) error { cancel(); return errors.New("killed") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ProbeKVM = %+v, %v; want no answer", got, err)
		}
	})
}

func TestProbeResultIsStored(t *testing.T) {
	want := ProbeResult{Reason: "no", Took: time.Second}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got ProbeResult
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("%s read back as %+v, %v", b, got, err)
	}
}

func TestChooseAccel(t *testing.T) {
	works := func() (ProbeResult, error) { return ProbeResult{Works: true}, nil }
	broken := func() (ProbeResult, error) { return ProbeResult{Reason: "no /dev/kvm"}, nil }
	unasked := func() (ProbeResult, error) { t.Error("probed"); return ProbeResult{}, nil }
	tests := []struct {
		name   string
		choice AccelChoice
		probe  func() (ProbeResult, error)
		accel  Accel
		reason string
		fails  bool
	}{
		{"auto, works", ChooseAuto, works, AccelKVM, "", false},
		{"auto, broken", ChooseAuto, broken, AccelTCG, "no /dev/kvm", false},
		{"kvm, works", ChooseKVM, works, AccelKVM, "", false},
		{"kvm, broken", ChooseKVM, broken, "", "", true},
		{"tcg", ChooseTCG, unasked, AccelTCG, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			accel, reason, err := ChooseAccel(tt.choice, tt.probe)
			var refused *AccelError
			if accel != tt.accel || reason != tt.reason || errors.As(err, &refused) != tt.fails {
				t.Errorf("ChooseAccel = %q, %q, %v", accel, reason, err)
			}
		})
	}
	if _, _, err := ChooseAccel(ChooseAuto, func() (ProbeResult, error) { return ProbeResult{}, context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted probe: %v", err)
	}
}

func TestParseAccelChoice(t *testing.T) {
	for in, want := range map[string]AccelChoice{"": ChooseAuto, "auto": ChooseAuto, "kvm": ChooseKVM, "tcg": ChooseTCG} {
		if got, err := ParseAccelChoice(in); got != want || err != nil {
			t.Errorf("ParseAccelChoice(%q) = %q, %v", in, got, err)
		}
	}
	if _, err := ParseAccelChoice("hvf"); err == nil {
		t.Error("hvf accepted")
	}
}

func TestBootID(t *testing.T) {
	if id, err := BootID(); err != nil || !uuidForm().MatchString(id) {
		t.Errorf("BootID = %q, %v", id, err)
	}
}
