package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/containers/common/pkg/signal"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

func newOCIExecCommand(app *App, g *ociGlobals) *cobra.Command {
	var opts engine.OCIExecOptions
	var user string
	var preserve int
	cmd := &cobra.Command{
		Use:     "exec [options] CONTAINER [COMMAND [ARG...]]",
		Short:   "Start one more process in a running container",
		Long:    "Starts one more process in a running container, described by a file or by the command line, and waits for its end.",
		Example: "  vpod oci exec my ps",
		Args:    cobra.MinimumNArgs(1),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			opts.Args = args[1:]
			switch {
			case preserve != 0:
				return errPreserveFDs
			case opts.Process == "" && len(opts.Args) == 0:
				return errors.New("give a command, or --process")
			case opts.Process != "" && len(opts.Args) > 0:
				return errors.New("give a command or --process, not both")
			}
			if user != "" {
				u, err := parseOCIUser(user)
				if err != nil {
					return err
				}
				opts.User = u
			}
			code, err := r.Exec(ctx, args[0], opts)
			if err != nil {
				return err
			}
			return exitWith(code)
		}),
	}
	cmd.Flags().SetInterspersed(false)
	app.lazily(cmd, func() {
		f := cmd.Flags()
		f.StringVarP(&opts.Process, "process", "p", "", "Take the process from this `file`; - is standard input")
		f.StringVar(&opts.Cwd, "cwd", "", "Working `directory` of the command")
		f.StringArrayVarP(&opts.Env, "env", "e", nil, "Add `KEY=value` to its environment")
		f.StringVarP(&user, "user", "u", "", "Run it as this `UID[:GID]`")
		f.BoolVarP(&opts.Terminal, "tty", "t", false, "Give it a terminal")
		f.StringVar(&opts.ConsoleSocket, "console-socket", "", "Send its terminal to this `socket`")
		f.StringVar(&opts.PIDFile, "pid-file", "", "Write the id of the process that stands for it to this `file`")
		f.BoolVarP(&opts.Detach, "detach", "d", false, "Do not wait for its end")
		f.IntVar(&preserve, "preserve-fds", 0, "Pass this `number` of descriptors on; only 0 is possible")
	})
	return cmd
}

// parseOCIUser reads numbers: a runtime looks no names up.
func parseOCIUser(s string) (*specs.User, error) {
	uid, gid, both := strings.Cut(s, ":")
	var u specs.User
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("--user %q: give numbers, as 1000:1000", s)
	}
	u.UID = uint32(n)
	if !both {
		return &u, nil
	}
	if n, err = strconv.ParseUint(gid, 10, 32); err != nil {
		return nil, fmt.Errorf("--user %q: give numbers, as 1000:1000", s)
	}
	u.GID = uint32(n)
	return &u, nil
}

func newOCIKillCommand(app *App, g *ociGlobals) *cobra.Command {
	return &cobra.Command{
		Use:     "kill CONTAINER [SIGNAL]",
		Short:   "Send a signal to a container's process, TERM unless another is named",
		Long:    "Sends a signal to a container's process. One that was not started yet ends by those signals that end a process.",
		Example: "  vpod oci kill my KILL",
		Args:    cobra.RangeArgs(1, 2),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			name := "TERM"
			if len(args) == 2 {
				name = args[1]
			}
			sig, err := signal.ParseSignalNameOrNumber(name)
			if name == "0" {
				sig, err = 0, nil
			}
			if err != nil {
				return fmt.Errorf("signal %q: %w", name, err)
			}
			return r.Kill(ctx, args[0], int(sig))
		}),
	}
}

func newOCIListCommand(app *App, g *ociGlobals) *cobra.Command {
	format, quiet := "table", false
	cmd := &cobra.Command{
		Use:     "list [options]",
		Short:   "List containers",
		Long:    "Lists the containers of this runtime.",
		Example: "  vpod oci list --format json",
		Args:    cobra.NoArgs,
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, _ []string) error {
			list, err := r.List(ctx)
			if err != nil {
				return err
			}
			return app.printOCIList(list, format, quiet)
		}),
	}
	app.lazily(cmd, func() {
		cmd.Flags().VarP(newChoice(&format, "table", "json"), "format", "f", "Print a `table or json`")
		cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "Print ids only")
	})
	return cmd
}

func (app *App) printOCIList(list []engine.OCIState, format string, quiet bool) error {
	rows := []ociRow{}
	for _, s := range list {
		rows = append(rows, newOCIRow(s))
	}
	if format == "json" {
		return printIndented(app.Stdout, rows)
	}
	w := tabwriter.NewWriter(app.Stdout, 12, 1, 2, ' ', 0)
	if !quiet {
		fmt.Fprintln(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER")
	}
	for _, r := range rows {
		if quiet {
			fmt.Fprintln(w, r.ID)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.PID, r.Status, r.Bundle, r.Created.Format("2006-01-02T15:04:05Z"), r.Owner)
	}
	return w.Flush()
}

func newOCIFeaturesCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use:     "features",
		Short:   "Show what the runtime can do, as JSON",
		Long:    "Prints what the runtime can do as JSON, in the words of OCI's runtime specification.",
		Example: "  vpod oci features",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return printIndented(app.Stdout, ociFeatures(versionString(app.Version())))
		},
	}
}

// ociMountOptions are the options of mounts that mean something to runtime or agent,
// in order.
func ociMountOptions() []string {
	return strings.Fields(`async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev
		nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow notmpcopyup private
		ratime rbind rdev rdiratime relatime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid
		rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared
		silent slave strictatime suid symfollow sync tmpcopyup unbindable`)
}

// ociFeatures is runtime-spec's description of a runtime (features.md).
func ociFeatures(version string) features.Features {
	yes, no := true, false
	return features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "poststart", "poststop"},
		MountOptions:  ociMountOptions(),
		Linux: &features.Linux{
			Namespaces: []string{"cgroup", "ipc", "mount", "network", "pid", "uts"},
			Cgroup:     &features.Cgroup{V1: &no, V2: &yes, Systemd: &no, SystemdUser: &no, Rdma: &no},
			Seccomp:    &features.Seccomp{Enabled: &yes},
			Apparmor:   &features.Apparmor{Enabled: &no},
			Selinux:    &features.Selinux{Enabled: &no},
			IntelRdt:   &features.IntelRdt{Enabled: &no},
			MountExtensions: &features.MountExtensions{
				IDMap: &features.IDMap{Enabled: &no},
			},
		},
		Annotations: map[string]string{"io.vpod.version": version},
	}
}
