package cli

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// environmentFlags are the two ways to set variables, of run, create and exec.
type environmentFlags struct {
	env      []string
	envFiles []string
}

func (f *environmentFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.env, "env", "e", nil, "Set an environment variable: `KEY[=VALUE]`, or 'PREFIX*' for those of the host")
	flags.StringSliceVar(&f.envFiles, "env-file", nil, "Read environment variables from this `file`")
}

// get returns "KEY=value" sorted by key. Options win over files, later ones over
// earlier ones.
func (f *environmentFlags) get(environ []string) ([]string, error) {
	vars := variables{}
	for _, name := range f.envFiles {
		if err := readLines(name, func(line string) error { return vars.set(line, environ) }); err != nil {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
	}
	for _, e := range f.env {
		if err := vars.set(e, environ); err != nil {
			return nil, fmt.Errorf("--env: %w", err)
		}
	}
	return vars.list(), nil
}

// processFlags describe the container's first process.
type processFlags struct {
	environmentFlags
	workDir     string
	user        string
	groups      []string
	entrypoint  string
	tty         bool
	interactive bool
	umask       string
	tz          string
	hostname    string
	changed     func(flag string) bool
}

func (f *processFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	f.environmentFlags.addFlags(flags)
	flags.StringVarP(&f.workDir, "workdir", "w", "", "Start the command in this `directory`")
	flags.StringVarP(&f.user, "user", "u", "", "Run as this user: `NAME|UID[:GROUP|GID]`")
	flags.StringSliceVar(&f.groups, "group-add", nil, "Add the user to this `group` of the image")
	flags.StringVar(&f.entrypoint, "entrypoint", "", "Replace the image's entrypoint by this `command`, or JSON array of arguments")
	flags.BoolVarP(&f.tty, "tty", "t", false, "Give the container a terminal")
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "Keep standard input open")
	flags.StringVar(&f.umask, "umask", "", "Set the umask, an octal `number` (default 0022)")
	flags.StringVar(&f.tz, "tz", "", "Set the time `zone`, as Europe/Berlin, or local for the host's")
	flags.StringVarP(&f.hostname, "hostname", "h", "", "Set the host `name` (default the short id)")
}

// hostnamePattern is what fits into /etc/hosts and resolvers: letters, digits,
// hyphens and underscores in parts separated by dots.
var hostnamePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*$`)
})

// groupPattern is what groupadd(8) takes as a name, and numbers.
var groupPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]*\$?$`)
})

// maxHostname is the kernel's limit (HOST_NAME_MAX).
const maxHostname = 64

func (f *processFlags) apply(spec *container.Spec, opts *engine.CreateOptions, in surroundings) error {
	p := &spec.Process
	var err error
	if p.Env, err = f.environmentFlags.get(in.environ); err != nil {
		return err
	}
	if f.workDir != "" && !path.IsAbs(f.workDir) {
		return fmt.Errorf("--workdir %q: the directory must be an absolute path in the container", f.workDir)
	}
	if f.changed("user") && (f.user == "" || strings.HasPrefix(f.user, ":")) {
		return fmt.Errorf("--user %q: the form is NAME|UID[:GROUP|GID]", f.user)
	}
	for _, g := range f.groups {
		if g == "keep-groups" {
			return &engine.HintError{
				Err:  fmt.Errorf("--group-add keep-groups: groups of the host mean nothing to the container's own kernel"),
				Hint: "name groups of the image",
			}
		}
		if !groupPattern().MatchString(g) {
			return fmt.Errorf("--group-add %q: give the name or number of a group of the image", g)
		}
	}
	if f.changed("group-add") && len(f.groups) == 0 {
		return fmt.Errorf("--group-add %q: give the name or number of a group of the image", "")
	}
	p.WorkDir, p.User, p.Groups = f.workDir, f.user, f.groups
	p.Terminal, p.Interactive = f.tty, f.interactive
	if f.umask != "" {
		n, err := strconv.ParseUint(f.umask, 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("--umask %q: give an octal number from 0000 to 0777", f.umask)
		}
		p.Umask = fmt.Sprintf("%04o", n)
	}
	if f.tz != "" && f.tz != "local" {
		if _, err := time.LoadLocation(f.tz); err != nil {
			return fmt.Errorf("--tz %q: no such time zone on this host; give one below /usr/share/zoneinfo, or local", f.tz)
		}
	}
	spec.TZ = f.tz
	if f.hostname != "" && (len(f.hostname) > maxHostname || !hostnamePattern().MatchString(f.hostname)) {
		return fmt.Errorf("--hostname %q: a host name has letters, digits and hyphens, in parts separated by dots, %d characters at most", f.hostname, maxHostname)
	}
	spec.Hostname = f.hostname
	if f.changed("entrypoint") {
		opts.EntrypointSet = true
		if p.Entrypoint, err = parseEntrypoint(f.entrypoint); err != nil {
			return err
		}
	}
	return nil
}

// parseEntrypoint reads one command, or a JSON array of arguments; the empty
// string removes the image's.
func parseEntrypoint(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	var list []string
	err := json.Unmarshal([]byte(s), &list)
	switch {
	case err == nil:
		return list, nil
	case strings.HasPrefix(s, `["`): // "[" alone is a command
		return nil, fmt.Errorf("--entrypoint %s: not a JSON array of strings: %w", s, err)
	}
	return []string{s}, nil
}
