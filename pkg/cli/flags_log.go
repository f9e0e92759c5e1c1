package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
)

// logFlags say where the container's output is kept.
type logFlags struct {
	driver string
	opts   []string
}

var logDrivers = []string{"k8s-file", "json-file", "none"}

func (f *logFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.driver, "log-driver", "", "Keep the container's output by this `driver`: k8s-file (default), json-file or none")
	flags.StringSliceVar(&f.opts, "log-opt", nil, "Set an `option` of the log: path=, max-size=, tag=")
}

func (f *logFlags) apply(log *container.Log, in surroundings) error {
	log.Driver = in.config.LogDriver
	log.MaxSizeBytes = in.config.LogMaxSizeBytes
	if f.driver != "" {
		log.Driver = f.driver
	}
	switch log.Driver {
	case "k8s-file", "json-file", "none":
	case "journald":
		return withHint(errors.New("--log-driver journald: the journal is not written to"), "use k8s-file; `vpod logs --follow` can be piped into systemd-cat")
	case "passthrough", "passthrough-tty":
		return withHint(fmt.Errorf("--log-driver %s: the container's output belongs to another kernel and cannot be a descriptor of the host", log.Driver), "use --log-driver none and stay attached")
	default:
		return fmt.Errorf("--log-driver %q: no such driver; vpod has %s", log.Driver, strings.Join(logDrivers, ", "))
	}
	for _, opt := range f.opts {
		key, value, ok := strings.Cut(opt, "=")
		if !ok || value == "" {
			return fmt.Errorf("--log-opt %q: the form is NAME=VALUE", opt)
		}
		if log.Driver == "none" {
			return fmt.Errorf("--log-opt %s: with --log-driver none nothing is kept", opt)
		}
		switch key {
		case "path":
			abs, err := filepath.Abs(value)
			if err != nil {
				return fmt.Errorf("--log-opt %s: %w", opt, err)
			}
			log.Path = abs
		case "max-size":
			n, err := units.FromHumanSize(value)
			if err != nil || n < 0 {
				return fmt.Errorf("--log-opt %s: not a size; give a number with k, m or g, as 10mb", opt)
			}
			log.MaxSizeBytes = n
		case "tag":
			log.Tag = value
		default:
			return withHint(fmt.Errorf("--log-opt %s: no such option", opt), "vpod knows path=, max-size= and tag=")
		}
	}
	return nil
}
