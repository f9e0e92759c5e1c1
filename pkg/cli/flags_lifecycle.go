package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containers/common/pkg/signal"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// lifecycleFlags say how a container begins and ends.
type lifecycleFlags struct {
	name        string
	replace     bool
	rm          bool
	cidFile     string
	restart     string
	init        bool
	stopSignal  string
	stopTimeout uint
	timeout     uint
	changed     func(flag string) bool
}

func (f *lifecycleFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.StringVar(&f.name, "name", "", "Give the container this `name`")
	flags.BoolVar(&f.replace, "replace", false, "Remove a container of the same name first")
	flags.BoolVar(&f.rm, "rm", false, "Remove the container when it ends")
	flags.StringVar(&f.cidFile, "cidfile", "", "Write the container's id to this `file`, which must not exist")
	flags.StringVar(&f.restart, "restart", "", "Start the container again by this `policy`: no, always, on-failure[:N] or unless-stopped")
	flags.BoolVar(&f.init, "init", false, "Run the command under an init that forwards signals and reaps processes")
	flags.StringVar(&f.stopSignal, "stop-signal", "", "Stop the container with this `signal` (default the image's, or SIGTERM)")
	flags.UintVar(&f.stopTimeout, "stop-timeout", 0, "Give the container this many `seconds` to stop before SIGKILL (default 10)")
	flags.UintVar(&f.timeout, "timeout", 0, "Kill the container after this many `seconds`")
}

// apply fills in defaults of containers.conf: the spec cannot tell "0 seconds"
// from "not said".
func (f *lifecycleFlags) apply(spec *container.Spec, opts *engine.CreateOptions, in surroundings) error {
	policy, err := container.ParseRestartPolicy(f.restart)
	if err != nil {
		return fmt.Errorf("--restart: %w", err)
	}
	if f.rm && policy.Name != "no" {
		return fmt.Errorf("--rm conflicts with --restart %s: a container that is removed at its end is not started again", f.restart)
	}
	if f.replace && f.name == "" {
		return errors.New("--replace needs --name: it replaces the container of that name")
	}
	spec.Name, opts.Replace = f.name, f.replace
	spec.AutoRemove, spec.Restart, spec.CIDFile = f.rm, policy, f.cidFile
	spec.TimeoutSeconds = f.timeout
	spec.Init = in.config.Init
	if f.changed("init") {
		spec.Init = f.init
	}
	spec.StopTimeoutSeconds = in.config.StopTimeoutSeconds
	if f.changed("stop-timeout") {
		spec.StopTimeoutSeconds = f.stopTimeout
	}
	if f.stopSignal != "" {
		n, err := parseSignal("--stop-signal", f.stopSignal)
		if err != nil {
			return err
		}
		spec.StopSignal = signalName(n, f.stopSignal)
	}
	return nil
}

// parseSignal reads a signal's name, with or without SIG, or number.
func parseSignal(flag, s string) (int, error) {
	n, err := signal.ParseSignalNameOrNumber(s)
	if err != nil || n < 1 || n > 64 {
		return 0, fmt.Errorf("%s %q: no such signal; give a name as TERM or SIGTERM, or a number from 1 to 64", flag, s)
	}
	return int(n), nil
}

// signalName is the name of signal n, which the user wrote as asked. Real-time
// signals have no name of their own in unix.SignalName.
func signalName(n int, asked string) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	return strings.ToUpper(asked)
}
