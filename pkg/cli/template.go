package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// templater is what the commands on machine templates need of the engine.
type templater interface {
	Templates(ctx context.Context) ([]engine.Template, error)
	BuildTemplate(ctx context.Context, r engine.TemplateRequest) (string, error)
	RemoveTemplates(ctx context.Context, keys []string, all bool) []engine.Result
}

type templateListFlags struct {
	format    string
	noHeading bool
	quiet     bool
}

func (f *templateListFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.format, "format", "", "Print in this `format`: json, or a Go template")
	flags.BoolVarP(&f.noHeading, "noheading", "n", false, "Print no headings")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Print only keys")
}

func newTemplateListCommand(app *App) *cobra.Command {
	var opts templateListFlags
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List machine templates",
		Long:    "Lists the machines that were booted once and saved, and that others start from, the one used last first.",
		Example: `  vpod system template ls
  vpod system template ls --format "{{.Key}} {{.DiskBytes}}"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.listTemplates(cmd.Context(), opts)
		},
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "format", fixedWords("json", "table"))
	})
	return cmd
}

func (app *App) listTemplates(ctx context.Context, f templateListFlags) error {
	if f.quiet && f.format != "" {
		return errors.New("--quiet and --format cannot be used together: keys alone are printed")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	list, err := eng.Templates(ctx)
	if err != nil {
		return err
	}
	if isJSON(f.format) {
		if list == nil {
			list = []engine.Template{} // never null
		}
		return writeJSON(app.Stdout, list)
	}
	rows := make([]templateRow, 0, len(list))
	for _, t := range list {
		if f.quiet {
			fmt.Fprintln(app.Stdout, t.Key)
		}
		rows = append(rows, templateRow{Template: t, now: app.Now()})
	}
	if f.quiet {
		return nil
	}
	t := table{name: "template ls", columns: templateColumns, headings: templateHeadings, noHeading: f.noHeading}
	if f.format != "" && f.format != "table" {
		t.format = f.format
	}
	return t.write(app.Stdout, rows, templateHeadingFields{})
}

const templateColumns = `{{range .}}{{.Key}}\t{{.Made}}\t{{.Used}}\t{{.Board}}\t{{.Accel}}\t{{.Memory}}\t{{.CPUs}}\t{{.Network}}\t{{.Disk}}` + "\n{{end -}}"

// templateRow is one template as --format sees it: the fields of engine.Template,
// and these forms for people.
type templateRow struct {
	engine.Template
	now time.Time
}

func (r templateRow) Made() string   { return ago(r.now, r.Template.Made) }
func (r templateRow) MadeAt() string { return r.Template.Made.UTC().Format(time.RFC3339) }
func (r templateRow) Used() string   { return ago(r.now, r.Template.Used) }
func (r templateRow) UsedAt() string { return r.Template.Used.UTC().Format(time.RFC3339) }

// Memory is in the unit of --memory.
func (r templateRow) Memory() string { return fmt.Sprintf("%dm", r.MemoryBytes>>20) }
func (r templateRow) Disk() string   { return units.HumanSize(float64(r.DiskBytes)) }

// templateHeadingFields names what a templateRow's templates may use, for headings.
type templateHeadingFields struct {
	Key, Made, MadeAt, Used, UsedAt, Board, Accel, Memory, MemoryBytes, CPUs, Network, ReadOnly, Kernel, KernelArgs, QEMU, Dir, Disk, DiskBytes string
}

var templateHeadings = map[string]string{
	"CPUs": "cpus", "MadeAt": "made at", "UsedAt": "used at", "MemoryBytes": "memory bytes", "ReadOnly": "read only", "KernelArgs": "kernel args", "DiskBytes": "disk bytes",
}

// templateBuildFlags describe the machine that is to start from the template.
type templateBuildFlags struct {
	machineFlags
	networks []string
	readOnly bool
}

func (f *templateBuildFlags) addFlags(flags *pflag.FlagSet) {
	flags.SetNormalizeFunc(alias("net", "network"))
	f.machineFlags.addFlags(flags)
	flags.StringArrayVar(&f.networks, "network", nil, "Prepare for containers of this `mode`: user or none (default both)")
	flags.BoolVar(&f.readOnly, "read-only", false, "Prepare for containers whose root file system is read-only")
}

func newTemplateBuildCommand(app *App) *cobra.Command {
	var opts templateBuildFlags
	cmd := &cobra.Command{
		Use:   "build [options]",
		Short: "Prepare the templates that containers with these options start from",
		Long:  "Boots and saves the machines that containers with these options will start from, unless that is done, and prints their keys. Without options it prepares for containers run without any, and for those without a network.",
		Example: `  vpod system template build
  vpod system template build -m 2g --cpus 2 --network user`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.buildTemplates(cmd.Context(), opts)
		},
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "machine", fixedWords(boards...))
		completeFlag(cmd, "accel", fixedWords(accels...))
		completeFlag(cmd, "network", fixedWords(networkModes...))
		for _, flag := range []string{"cpus", "kernel-arg", "memory"} {
			completeFlag(cmd, flag, noWords)
		}
	})
	return cmd
}

// requests turns the options into what the engine is asked for.
func (f *templateBuildFlags) requests() ([]engine.TemplateRequest, error) {
	r := engine.TemplateRequest{ReadOnly: f.readOnly}
	if err := f.machineFlags.apply(&r.Machine); err != nil {
		return nil, err
	}
	networks := f.networks
	if len(networks) == 0 {
		networks = []string{string(container.NetworkUser), string(container.NetworkNone)}
	}
	var all []engine.TemplateRequest
	for _, mode := range networks {
		var err error
		if r.Network, err = parseNetwork(mode); err != nil {
			return nil, fmt.Errorf("--network %s: %w", mode, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func (app *App) buildTemplates(ctx context.Context, f templateBuildFlags) error {
	requests, err := f.requests()
	if err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	for _, r := range requests {
		key, err := eng.BuildTemplate(ctx, r)
		if err != nil {
			return err
		}
		fmt.Fprintln(app.Stdout, key)
	}
	return nil
}

func newTemplateRmCommand(app *App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "rm [options] KEY [KEY...]",
		Short: "Remove machine templates",
		Long:  "Removes machine templates by their keys or unique beginnings of keys. Machines that were started from them run on; a template is made again when it is needed.",
		Example: `  vpod system template rm 4f0c
  vpod system template rm --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.removeTemplates(cmd.Context(), args, all)
		},
		ValidArgsFunction: app.templateWords,
	}
	app.lazily(cmd, func() {
		cmd.Flags().BoolVarP(&all, "all", "a", false, "Remove all templates")
	})
	return cmd
}

func (app *App) removeTemplates(ctx context.Context, keys []string, all bool) error {
	switch {
	case all && len(keys) > 0:
		return errors.New("name templates or give --all, not both")
	case !all && len(keys) == 0:
		return errors.New("name the keys of templates, or give --all")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	return app.finish(ctx, eng.RemoveTemplates(ctx, keys, all), removalCode)
}
