package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containers/common/pkg/capabilities"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// securityFlags set what the first process may do to the guest it lives in. None
// of them opens a way to the host.
type securityFlags struct {
	capAdd      []string
	capDrop     []string
	privileged  bool
	securityOpt []string
}

func (f *securityFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.capAdd, "cap-add", nil, "Add this Linux `capability`, or ALL")
	flags.StringSliceVar(&f.capDrop, "cap-drop", nil, "Drop this Linux `capability`, or ALL")
	flags.BoolVar(&f.privileged, "privileged", false, "Give all capabilities and unmask all paths, inside the container's own machine")
	flags.StringArrayVar(&f.securityOpt, "security-opt", nil, "Set a security `option`: no-new-privileges, seccomp=, mask=, unmask=")
}

func (f *securityFlags) apply(spec *container.Spec) error {
	p := &spec.Process
	for _, list := range []struct {
		flag string
		caps []string
	}{{"--cap-add", f.capAdd}, {"--cap-drop", f.capDrop}} {
		if _, err := capabilities.NormalizeCapabilities(list.caps); err != nil {
			return fmt.Errorf("%s: %w", list.flag, err)
		}
	}
	p.CapAdd, p.CapDrop = f.capAdd, f.capDrop
	spec.Privileged = f.privileged
	p.SecurityOpt = f.securityOpt
	for _, opt := range f.securityOpt {
		if err := applySecurityOpt(p, opt); err != nil {
			return fmt.Errorf("--security-opt %s: %w", opt, err)
		}
	}
	return nil
}

// applySecurityOpt takes one value of --security-opt. Docker's older form has a
// colon in place of the first equals sign.
func applySecurityOpt(p *container.Process, opt string) error {
	key, value, hasValue := cutEither(opt)
	switch key {
	case "no-new-privileges":
		p.NoNewPrivileges = true
		if hasValue {
			on, err := strconv.ParseBool(value)
			if err != nil {
				return errors.New("the value is true or false")
			}
			p.NoNewPrivileges = on
		}
		return nil
	case "seccomp":
		return applySeccomp(p, value)
	case "mask":
		paths, err := containerPaths(value)
		p.Mask = append(p.Mask, paths...)
		return err
	case "unmask":
		if value == "ALL" {
			p.Unmask = append(p.Unmask, value)
			return nil
		}
		paths, err := containerPaths(value)
		p.Unmask = append(p.Unmask, paths...)
		return err
	case "label":
		if value == "disable" { // nothing labels: so it is
			return nil
		}
		return withHint(errors.New("the guest kernel has no SELinux"), "leave it out, or give label=disable")
	case "apparmor":
		if value == "unconfined" { // nothing confines: so it is
			return nil
		}
		return withHint(errors.New("the guest kernel has no AppArmor"), "leave it out, or give apparmor=unconfined")
	case "proc-opts":
		return errors.New("options of the /proc mount cannot be chosen yet")
	}
	return withHint(errors.New("no such security option"), "vpod knows no-new-privileges, seccomp=, mask= and unmask=")
}

// cutEither splits at the first = or, before any =, at the first colon.
func cutEither(opt string) (key, value string, found bool) {
	i := strings.IndexAny(opt, "=:")
	if i < 0 {
		return opt, "", false
	}
	return opt[:i], opt[i+1:], true
}

// maxSeccompProfile bounds a profile's size; the default one has 12 KiB.
const maxSeccompProfile = 1 << 20

// applySeccomp reads the profile, so that the container keeps it even when the
// file changes. The engine checks what it says.
func applySeccomp(p *container.Process, value string) error {
	p.Seccomp, p.SeccompProfile = value, nil
	if value == "unconfined" {
		return nil
	}
	if value == "" {
		return errors.New("give unconfined, or the path of a JSON profile")
	}
	file, err := absFile("profile", value)
	if err != nil {
		return err
	}
	if info, err := os.Stat(file); err == nil && info.Size() > maxSeccompProfile {
		return fmt.Errorf("the profile has %d bytes, more than %d", info.Size(), maxSeccompProfile)
	}
	profile, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(profile, &object); err != nil {
		return fmt.Errorf("the profile is not a JSON object: %w", err)
	}
	p.Seccomp, p.SeccompProfile = filepath.Clean(file), profile
	return nil
}

// containerPaths splits a colon-separated list of absolute paths.
func containerPaths(value string) ([]string, error) {
	var out []string
	for _, p := range strings.Split(value, ":") {
		if !path.IsAbs(p) {
			return nil, &engine.HintError{Err: fmt.Errorf("%q is not an absolute path", p), Hint: "separate paths by colons, as /proc/acpi:/sys/firmware"}
		}
		out = append(out, p)
	}
	return out, nil
}
