package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// OCIRuntime is what `vpod oci` asks of the engine.
type OCIRuntime interface {
	Create(ctx context.Context, id string, o engine.OCICreateOptions) error
	Start(ctx context.Context, id string) error
	State(ctx context.Context, id string) (engine.OCIState, error)
	List(ctx context.Context) ([]engine.OCIState, error)
	Kill(ctx context.Context, id string, sig int) error
	Delete(ctx context.Context, id string, force bool) error
	Exec(ctx context.Context, id string, o engine.OCIExecOptions) (int, error)
	Shim(ctx context.Context, id string, o engine.OCIShimOptions) (int, error)
	ExecShim(ctx context.Context, id, consoleSocket string) (int, error)
	Keep(ctx context.Context, dir string, leash int) error
}

// ociProgram is the name under which vpod is an OCI runtime by itself.
const ociProgram = "vpod-oci"

// asRuntime is the command line of vpod that a command line means: under the name
// of the runtime, `vpod oci` goes without saying.
func asRuntime(args []string) []string {
	if filepath.Base(args[0]) != ociProgram {
		return args
	}
	return append([]string{"vpod", "oci"}, args[1:]...)
}

// newOCIRuntime asks the engine for it.
func newOCIRuntime(o engine.Options, root string) (OCIRuntime, error) {
	e, err := engine.New(o)
	if err != nil {
		return nil, err
	}
	return e.OCIRuntime(root)
}

// ociGlobals are the options runc has for all its commands.
type ociGlobals struct {
	root          string
	log           string
	logFormat     string
	debug         bool
	systemdCgroup bool
	leash         int
	keeper        string
}

func (g *ociGlobals) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&g.root, "root", "", "Keep the containers' state below this `directory`")
	flags.StringVar(&g.log, "log", "", "Write errors to this `file`, too")
	g.logFormat = "text"
	flags.Var(newChoice(&g.logFormat, "text", "json"), "log-format", "Write them as `text or json`")
	flags.BoolVar(&g.debug, "debug", false, "Log debugging messages, as --log-level debug")
	flags.IntVar(&g.leash, "leash", 0, "End the container that is created when the process of this `id` ends")
	flags.StringVar(&g.keeper, "keeper", "", "Run the container that is created in the machine of the keeper of this `directory` (used by vpod build)")
	flags.BoolVar(&g.systemdCgroup, "systemd-cgroup", false, "The bundle names its control group as systemd does; a container's lies inside its machine")
}

// newOCICommand returns the verbs by which other engines use vpod as their runtime.
func newOCICommand(app *App) *cobra.Command {
	var globals ociGlobals
	cmd := newGroup("oci", "Run bundles as an OCI runtime",
		newOCICreateCommand(app, &globals),
		newOCIStartCommand(app, &globals),
		newOCIStateCommand(app, &globals),
		newOCIListCommand(app, &globals),
		newOCIKillCommand(app, &globals),
		newOCIDeleteCommand(app, &globals),
		newOCIExecCommand(app, &globals),
		newOCIFeaturesCommand(app),
		newOCIShimCommand(app, &globals, "shim", func(r OCIRuntime, ctx context.Context, id, console string) (int, error) {
			return r.Shim(ctx, id, engine.OCIShimOptions{ConsoleSocket: console, Leash: globals.leash, Keeper: globals.keeper})
		}),
		newOCIShimCommand(app, &globals, "exec-shim", OCIRuntime.ExecShim),
		newOCIKeepCommand(app, &globals),
	)
	cmd.Long = "Runs bundles of OCI's runtime specification, each in a virtual machine of its own, for engines as Podman and Buildah: the command line is runc's. Installed under the name vpod-oci it needs no `oci`."
	globals.addFlags(cmd.PersistentFlags())
	return cmd
}

// ociBody makes the body of a verb: it opens the runtime, and writes what goes
// wrong to --log, too.
func ociBody(app *App, g *ociGlobals, verb func(ctx context.Context, r OCIRuntime, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := func() error {
			if g.debug {
				app.global.level = "debug"
			}
			r, err := app.NewOCIRuntime(engine.Options{Log: app.log(), Notice: func(string) {}}, g.root)
			if err != nil {
				return err
			}
			return verb(cmd.Context(), r, args)
		}()
		var status *statusError
		if err != nil && !(errors.As(err, &status) && status.err == nil) {
			g.note(err, app.Now())
		}
		return err
	}
}

// note appends an error to the log file. Should that fail, standard error has it.
func (g *ociGlobals) note(err error, now time.Time) {
	if g.log == "" {
		return
	}
	f, openErr := os.OpenFile(g.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if openErr != nil {
		return
	}
	defer f.Close()
	var h slog.Handler
	replace := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key { // runc's words, which callers parse
		case slog.LevelKey:
			a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
		case slog.TimeKey:
			a.Value = slog.StringValue(now.UTC().Format(time.RFC3339))
		}
		return a
	}
	opts := &slog.HandlerOptions{ReplaceAttr: replace}
	if g.logFormat == "json" {
		h = slog.NewJSONHandler(f, opts)
	} else {
		h = slog.NewTextHandler(f, opts)
	}
	slog.New(h).Error(err.Error())
}

func newOCICreateCommand(app *App, g *ociGlobals) *cobra.Command {
	var opts engine.OCICreateOptions
	var preserve int
	cmd := withStore(&cobra.Command{
		Use:     "create [options] CONTAINER",
		Short:   "Create a container from a bundle",
		Long:    "Makes a container from a bundle, a directory with config.json and a root file system: its machine comes up, and its process waits for start.",
		Example: "  vpod oci create --bundle /run/my-bundle --pid-file /run/my.pid my",
		Args:    cobra.ExactArgs(1),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			if preserve != 0 {
				return errPreserveFDs
			}
			opts.Leash, opts.Keeper = g.leash, g.keeper
			return r.Create(ctx, args[0], opts)
		}),
	})
	app.lazily(cmd, func() {
		f := cmd.Flags()
		f.StringVarP(&opts.Bundle, "bundle", "b", ".", "`Directory` of the bundle")
		f.StringVar(&opts.ConsoleSocket, "console-socket", "", "Send the container's terminal to this `socket`")
		f.StringVar(&opts.PIDFile, "pid-file", "", "Write the id of the process that stands for the container to this `file`")
		f.IntVar(&preserve, "preserve-fds", 0, "Pass this `number` of descriptors on; only 0 is possible")
	})
	return cmd
}

// errPreserveFDs refuses descriptors for the container.
var errPreserveFDs = errors.New("--preserve-fds: a descriptor of the host has no meaning in a machine")

func newOCIStartCommand(app *App, g *ociGlobals) *cobra.Command {
	return &cobra.Command{
		Use:     "start CONTAINER",
		Short:   "Start the process of a created container",
		Long:    "Starts the process of a container that create has made, and waits until it runs.",
		Example: "  vpod oci start my",
		Args:    cobra.ExactArgs(1),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			return r.Start(ctx, args[0])
		}),
	}
}

func newOCIStateCommand(app *App, g *ociGlobals) *cobra.Command {
	return &cobra.Command{
		Use:     "state CONTAINER",
		Short:   "Show the state of a container",
		Long:    "Prints the state of a container as JSON, in the words of OCI's runtime specification.",
		Example: "  vpod oci state my",
		Args:    cobra.ExactArgs(1),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			s, err := r.State(ctx, args[0])
			if err != nil {
				return err
			}
			return printIndented(app.Stdout, newOCIRow(s))
		}),
	}
}

// ociRow is a container as runc's state and list print it.
type ociRow struct {
	Version     string               `json:"ociVersion"`
	ID          string               `json:"id"`
	PID         int                  `json:"pid"`
	Status      specs.ContainerState `json:"status"`
	Bundle      string               `json:"bundle"`
	Rootfs      string               `json:"rootfs"`
	Created     time.Time            `json:"created"`
	Annotations map[string]string    `json:"annotations,omitempty"`
	Owner       string               `json:"owner"`
}

func newOCIRow(s engine.OCIState) ociRow {
	return ociRow{
		Version: s.Version, ID: s.ID, PID: s.Pid, Status: s.Status, Bundle: s.Bundle,
		Rootfs: s.Rootfs, Created: s.Created, Annotations: s.Annotations, Owner: s.Owner,
	}
}

func printIndented(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

func newOCIDeleteCommand(app *App, g *ociGlobals) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "delete [options] CONTAINER",
		Short:   "Remove what there is of a container that has ended",
		Long:    "Removes what the runtime keeps of a container that has ended. The bundle stays.",
		Example: "  vpod oci delete --force my",
		Args:    cobra.ExactArgs(1),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			return r.Delete(ctx, args[0], force)
		}),
	}
	app.lazily(cmd, func() {
		cmd.Flags().BoolVarP(&force, "force", "f", false, "Kill the container first if it runs")
	})
	return cmd
}

func newOCIShimCommand(app *App, g *ociGlobals, verb string, body func(OCIRuntime, context.Context, string, string) (int, error)) *cobra.Command {
	var consoleSocket string
	cmd := &cobra.Command{
		Use:    verb + " [options] CONTAINER",
		Short:  "Stand for a container's process (used by vpod itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if app.TakeSignals != nil {
				app.TakeSignals() // they are the container's
			}
			// Standard error is the container's, too.
			quiet := engine.Options{Log: slog.New(slog.DiscardHandler), Notice: func(string) {}}
			r, err := app.NewOCIRuntime(quiet, g.root)
			if err != nil {
				return err
			}
			code, err := body(r, context.WithoutCancel(cmd.Context()), args[0], consoleSocket)
			if err != nil && code == 0 {
				code = codeOwnFailure
			}
			return exitWith(code) // what went wrong is said already, or in the monitor's log
		},
	}
	app.lazily(cmd, func() {
		cmd.Flags().StringVar(&consoleSocket, "console-socket", "", "Send the terminal to this `socket`")
	})
	return cmd
}

func newOCIKeepCommand(app *App, g *ociGlobals) *cobra.Command {
	return &cobra.Command{
		Use:    "keep DIRECTORY",
		Short:  "Keep a machine for the steps of a build (used by vpod build itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: ociBody(app, g, func(ctx context.Context, r OCIRuntime, args []string) error {
			return r.Keep(ctx, args[0], g.leash)
		}),
	}
}
