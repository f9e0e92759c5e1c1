package template

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"vpod/pkg/qemu"
)

// formatVersion grows when templates are made in another way.
const formatVersion = 1

// Key names the template for starting m with the QEMU at program: a hash of
// everything a saved machine depends on. Files count by their identity, which
// changes with every build and installation, not by their content: reading a
// kernel takes longer than starting from a template.
func Key(m qemu.Machine, program string) (string, error) {
	inputs := struct {
		Version              int
		QEMU, Kernel, Initrd string
		Machine              qemu.Machine
	}{Version: formatVersion, Machine: Source(m, "", func(d qemu.Disk) string { return d.ID })}
	for _, f := range []struct {
		path string
		id   *string
	}{{program, &inputs.QEMU}, {m.Kernel, &inputs.Kernel}, {m.Initrd, &inputs.Initrd}} {
		id, err := identity(f.path)
		if err != nil {
			return "", err
		}
		*f.id = id
	}
	inputs.Machine.Kernel, inputs.Machine.Initrd = "", ""
	b, err := json.Marshal(inputs)
	if err != nil {
		return "", fmt.Errorf("name the template: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:keyDigits], nil
}

// keyDigits is the length of a key.
const keyDigits = 16

// checkKey reports whether a name is a key's.
func checkKey(key string) bool {
	if len(key) != keyDigits {
		return false
	}
	_, err := hex.DecodeString(key)
	return err == nil
}

// identity tells one state of a file from another without reading it.
func identity(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", path, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("look at %s: no inode", path)
	}
	return fmt.Sprintf("%d:%d %d %d.%09d %d.%09d", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec), nil
}
