package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"vpod/pkg/qemu"
)

// hostCache keeps what is slow to find out about the host and holds until it
// reboots or QEMU or the kernel change. It lies in the user's cache directory,
// for all of the user's --root directories alike.
type hostCache struct {
	path string

	BootID string                      `json:"bootID"`
	TSCkHz int64                       `json:"tscKHz,omitempty"` // rate of the time stamp counter
	KVM    map[string]qemu.ProbeResult `json:"kvm,omitempty"`    // by kvmKey

	// EarlierTSCkHz is the rate kept in an earlier boot, 0 for none; see settleTSC.
	EarlierTSCkHz int64 `json:"earlierTSCKHz,omitempty"`

	// Protects says whether sidecar.CanProtect; nil when nobody has asked.
	Protects *bool `json:"protects,omitempty"`
}

// loadHostCache reads the cache; one of an earlier boot, or damaged, counts as empty.
func loadHostCache() (*hostCache, error) {
	boot, err := qemu.BootID()
	if err != nil {
		return nil, err
	}
	h := &hostCache{path: filepath.Join(userCache(), "host.json")}
	if b, err := os.ReadFile(h.path); err == nil {
		_ = json.Unmarshal(b, h) // what cannot be read is found out again
	}
	if h.BootID != boot {
		if h.TSCkHz != 0 {
			h.EarlierTSCkHz = h.TSCkHz
		}
		h.BootID, h.TSCkHz, h.KVM, h.Protects = boot, 0, nil, nil
	}
	return h, nil
}

// tscTolerance is how far apart two measurements of one counter may lie, in parts per
// million: 3 ms in a minute, of which the monitor relieves a guest's clock.
const tscTolerance = 50

// settleTSC keeps the counter's rate as measured, or an earlier boot's that agrees
// with it: the rate is part of what a template was made for, and a new figure after
// each boot of the host would have all of them made again.
func (h *hostCache) settleTSC(measuredkHz int64) {
	h.TSCkHz = measuredkHz
	if off := measuredkHz - h.EarlierTSCkHz; max(off, -off)*1_000_000 <= h.EarlierTSCkHz*tscTolerance {
		h.TSCkHz = h.EarlierTSCkHz
	}
}

// userCache is the directory of what is the same for all of the user's --root
// directories and can be found out or made again.
func userCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("vpod-cache-%d", realUID()), "vpod") // no HOME: still worth keeping
	}
	return filepath.Join(dir, "vpod")
}

// save writes the cache. A user whose home cannot be written to goes without.
func (h *hostCache) save() error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return ignoreReadOnly(err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(h.path), ".host-*")
	if err != nil {
		return ignoreReadOnly(err)
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), h.path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// ignoreReadOnly forgives a place that may not be written to.
func ignoreReadOnly(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil
	}
	return err
}

// fileIdentity tells one build of a file from another without reading it.
func fileIdentity(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano()), nil
}
