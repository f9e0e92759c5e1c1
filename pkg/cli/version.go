package cli

import (
	"fmt"
	"text/template"

	"github.com/containers/common/pkg/report"
	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

func newVersionCommand(app *App) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version [options]",
		Short:   "Show the version of vpod",
		Long:    "Prints which build of vpod this is.",
		Example: `  vpod version --format '{{.Client.Version}}'`,
		Args:    cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			return app.version(format)
		},
	}
	app.lazily(cmd, func() {
		cmd.Flags().StringVarP(&format, "format", "f", "", "Print in this `format`: json, or a Go template")
		completeFlag(cmd, "format", fixedWords("json"))
	})
	return cmd
}

func (app *App) version(format string) error {
	v := app.Version()
	if isJSON(format) {
		return writeJSON(app.Stdout, v)
	}
	if format != "" {
		return writeTemplate(app, "version", format, v)
	}
	rows := [][2]string{
		{"Client:", "vpod"},
		{"Version:", v.Client.Version},
		{"API Version:", v.Client.APIVersion},
		{"Go Version:", v.Client.GoVersion},
		{"Git Commit:", v.Client.GitCommit},
		{"Built:", v.Client.BuiltTime},
		{"OS/Arch:", v.Client.OsArch},
	}
	for _, r := range rows {
		if r[1] == "" || (r[0] == "Built:" && v.Client.Built == 0) {
			continue // not known of this build
		}
		if _, err := fmt.Fprintf(app.Stdout, "%-13s %s\n", r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

// versionString is what --version prints.
func versionString(v engine.Version) string { return v.Client.Version }

// writeTemplate prints one value by a Go template of the user.
func writeTemplate(app *App, name, format string, value any) error {
	t, err := template.New(name).Funcs(template.FuncMap(report.DefaultFuncs)).Parse(report.NormalizeFormat(format))
	if err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	if err := t.Execute(app.Stdout, value); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	return nil
}
