package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"vpod/pkg/engine"
)

// informer is what info needs of the engine.
type informer interface {
	Info(ctx context.Context) (*engine.Info, error)
}

func newInfoCommand(app *App) *cobra.Command {
	var format string
	cmd := withStore(&cobra.Command{
		Use:     "info [options]",
		Short:   "Show what vpod finds on this host",
		Long:    "Prints the host, what virtual machines are made of here and why, and where images and containers are kept.",
		Example: `  vpod info --format '{{.Machine.AccelReason}}'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.info(cmd.Context(), format)
		},
	})
	app.lazily(cmd, func() {
		cmd.Flags().StringVarP(&format, "format", "f", "", "Print in this `format`: json, or a Go template")
		completeFlag(cmd, "format", fixedWords("json"))
	})
	return cmd
}

func (app *App) info(ctx context.Context, format string) error {
	eng, err := app.engine()
	if err != nil {
		return err
	}
	info, err := eng.Info(ctx)
	if err != nil {
		return err
	}
	switch {
	case isJSON(format):
		return writeJSON(app.Stdout, info)
	case format != "":
		return writeTemplate(app, "info", format, info)
	}
	return writeYAML(app.Stdout, info)
}

// writeYAML prints v as YAML with the keys and the order of its JSON, as Podman
// does: JSON is YAML already, and only its style is changed.
func writeYAML(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print as YAML: %w", err)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(b, &node); err != nil {
		return fmt.Errorf("print as YAML: %w", err)
	}
	blockStyle(&node)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return fmt.Errorf("print as YAML: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// blockStyle takes the braces and needless quotes from a tree.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		blockStyle(child)
	}
}
