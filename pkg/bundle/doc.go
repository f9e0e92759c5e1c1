// Package bundle reads OCI bundles: a directory with a config.json and a root file
// system, as Podman, Buildah or conmon hand them to a runtime. It says what of a
// configuration becomes the guest's (Translate), lays the bundle's bind mounts over
// its root so that one share carries them all (Compose), opens the terminal a
// console socket asks for and runs hooks.
//
// It starts no machine; the engine does. Translate is pure. Compose changes the
// mounts of the calling process and belongs into a mount namespace of its own.
package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxConfig bounds a configuration, in bytes.
const maxConfig = 8 << 20

// configFile is the configuration's name in a bundle.
const configFile = "config.json"

// Bundle is a bundle that has been read.
type Bundle struct {
	Dir    string // absolute
	Rootfs string // absolute
	Config specs.Spec
}

// Read reads the bundle in dir. That the root exists is checked, what it holds is not.
func Read(dir string) (*Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	b := &Bundle{Dir: dir}
	if err := readJSON(filepath.Join(dir, configFile), &b.Config); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := check(&b.Config); err != nil {
		return nil, fmt.Errorf("bundle %s: %s: %w", dir, configFile, err)
	}
	b.Rootfs = b.Config.Root.Path
	if !filepath.IsAbs(b.Rootfs) {
		b.Rootfs = filepath.Join(dir, b.Rootfs)
	}
	for i, m := range b.Config.Mounts {
		if isBind(m) && !filepath.IsAbs(m.Source) {
			b.Config.Mounts[i].Source = filepath.Join(dir, m.Source) // runtime-spec, config.md, "Mounts"
		}
	}
	info, err := os.Stat(b.Rootfs)
	if err != nil {
		return nil, fmt.Errorf("bundle: root file system: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("bundle: root file system %s is not a directory", b.Rootfs)
	}
	return b, nil
}

// ReadProcess reads the description of a process, as exec's --process takes it;
// "-" is standard input.
func ReadProcess(path string) (*specs.Process, error) {
	var p specs.Process
	var err error
	if path == "-" {
		err = decode(os.Stdin, "standard input", &p)
	} else {
		err = readJSON(path, &p)
	}
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	return &p, checkProcess(&p)
}

func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return decode(f, path, v)
}

func decode(r io.Reader, name string, v any) error {
	raw, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(raw) > maxConfig {
		return fmt.Errorf("read %s: it is longer than %d MiB", name, maxConfig>>20)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// check finds what makes a configuration one that no runtime takes.
func check(c *specs.Spec) error {
	switch {
	case !strings.HasPrefix(c.Version, "1."):
		return fmt.Errorf("ociVersion %q: this runtime knows 1.0 and those compatible with it", c.Version)
	case c.Root == nil || c.Root.Path == "":
		return errors.New("root.path is missing")
	case c.Solaris != nil || c.Windows != nil || c.ZOS != nil || c.FreeBSD != nil:
		return errors.New("it is for another operating system than Linux")
	case c.Process == nil:
		return errors.New("process is missing")
	}
	for _, m := range c.Mounts {
		if !filepath.IsAbs(m.Destination) {
			return fmt.Errorf("mount destination %q is not absolute", m.Destination)
		}
		if isBind(m) && m.Source == "" {
			return fmt.Errorf("mount on %s binds nothing: source is missing", m.Destination)
		}
	}
	return checkProcess(c.Process)
}

func checkProcess(p *specs.Process) error {
	switch {
	case len(p.Args) == 0 || p.Args[0] == "":
		return errors.New("process.args is empty")
	case !filepath.IsAbs(p.Cwd):
		return fmt.Errorf("process.cwd %q is not absolute", p.Cwd)
	}
	return nil
}
