package mounts

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in      []string
		flags   uintptr
		data    []string
		mode    uint32
		copyUp  bool
		wantErr bool
	}{
		{"none", nil, 0, nil, 0, false, false},
		{"flags", []string{"nosuid", "noexec", "nodev", "ro"}, unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV | unix.MS_RDONLY, nil, 0, false, false},
		{"the last word wins", []string{"ro", "rw"}, 0, nil, 0, false, false},
		{"data goes to the file system", []string{"size=1m", "mode=0700"}, 0, []string{"size=1m", "mode=0700"}, 0o700, false, false},
		{"a later mode wins", []string{"mode=1777", "mode=0750"}, 0, []string{"mode=1777", "mode=0750"}, 0o750, false, false},
		{"a mode that is none", []string{"mode=rwx"}, 0, []string{"mode=rwx"}, 0, false, false},
		{"copy up", []string{"tmpcopyup"}, 0, nil, 0, true, false},
		{"empty word", []string{""}, 0, nil, 0, false, true},
		{"NUL", []string{"a\x00b"}, 0, nil, 0, false, true},
		{"id-mapped", []string{"idmap"}, 0, nil, 0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseOptions(tt.in)
			if (err != nil) != tt.wantErr {
				t.Fatalf("parseOptions(%q): %v, want error: %t", tt.in, err, tt.wantErr)
			}
			if err != nil {
				return
			}
			mode, _ := o.mode()
			if o.flags != tt.flags || !slices.Equal(o.data, tt.data) || o.copyUp != tt.copyUp || mode != tt.mode {
				t.Errorf("parseOptions(%q) = flags %#x, data %q, copy up %t, mode %o; want %#x, %q, %t, %o",
					tt.in, o.flags, o.data, o.copyUp, mode, tt.flags, tt.data, tt.copyUp, tt.mode)
			}
		})
	}
}
