package template

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
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
		Processor            string
		Machine              qemu.Machine
	}{Version: formatVersion, Machine: Source(m, "", func(d qemu.Disk) string { return d.ID }, "")}
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
	if m.Accel == qemu.AccelKVM { // its guest has seen the host's own processor
		var err error
		if inputs.Processor, err = processor(cpuInfo); err != nil {
			return "", fmt.Errorf("name the template: %w", err)
		}
	}
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

// cpuInfo describes the host's processors, see proc(5).
const cpuInfo = "/proc/cpuinfo"

// processorLines are those of cpuInfo that say what a processor is, and not what it
// does at the moment.
var processorLines = []string{"vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags"}

// processor describes the first processor listed in the file at path: what one
// guest has found of it must hold for its copies, also after an update of its
// microcode, or where a home directory serves several hosts.
func processor(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var found []string
	lines := bufio.NewScanner(f)
	for lines.Scan() && lines.Text() != "" {
		name, _, _ := strings.Cut(lines.Text(), ":")
		if slices.Contains(processorLines, strings.TrimSpace(name)) {
			found = append(found, lines.Text())
		}
	}
	return strings.Join(found, "\n"), lines.Err()
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
