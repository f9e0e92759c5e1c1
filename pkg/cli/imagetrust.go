package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// truster is what image trust needs of the engine.
type truster interface {
	TrustPolicy(ctx context.Context, registry string) ([]engine.Trust, error)
	TrustPolicyText() ([]byte, error)
	SetTrust(ctx context.Context, setting engine.TrustSetting) error
}

func newImageTrustCommand(app *App) *cobra.Command {
	return newGroup("trust", "Show and change which images are accepted",
		newTrustSetCommand(app),
		newTrustShowCommand(app),
	)
}

type trustShowFlags struct {
	json      bool
	noHeading bool
	raw       bool
}

// trustRow is what a Go template and the table see of a line of the policy.
type trustRow struct{ Transport, Repo, Type, ID, Store string }

func newTrustShowCommand(app *App) *cobra.Command {
	var opts trustShowFlags
	cmd := &cobra.Command{
		Use:   "show [options] [REGISTRY]",
		Short: "Show which images are accepted",
		Long:  "Lists what policy.json asks of images, and where registries.d says that their signatures are. With a registry or repository, only what holds for images there.",
		Example: `  vpod image trust show
  vpod image trust show registry.example/team`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.showTrust(cmd.Context(), opts, args)
		},
		ValidArgsFunction: noWords,
	}
	app.lazily(cmd, func() {
		cmd.Flags().BoolVarP(&opts.json, "json", "j", false, "Print JSON")
		cmd.Flags().BoolVarP(&opts.noHeading, "noheading", "n", false, "Print no headings")
		cmd.Flags().BoolVar(&opts.raw, "raw", false, "Print policy.json as it is")
		cmd.MarkFlagsMutuallyExclusive("json", "raw")
	})
	return cmd
}

func (app *App) showTrust(ctx context.Context, f trustShowFlags, args []string) error {
	eng, err := app.engine()
	if err != nil {
		return err
	}
	if f.raw {
		text, err := eng.TrustPolicyText()
		if err != nil {
			return err
		}
		return app.writeRaw(text)
	}
	registry := ""
	if len(args) > 0 {
		registry = args[0]
	}
	list, err := eng.TrustPolicy(ctx, registry)
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(app.Stdout, list)
	}
	rows := make([]trustRow, 0, len(list))
	for _, t := range list {
		rows = append(rows, trustRow{Transport: t.Transport, Repo: printable(t.Repo), Type: t.Type, ID: printable(t.Keys), Store: printable(t.Lookaside)})
	}
	t := table{name: "trust", columns: `{{range .}}{{.Transport}}\t{{.Repo}}\t{{.Type}}\t{{.ID}}\t{{.Store}}\n{{end -}}`, headings: map[string]string{"Repo": "NAME"}, noHeading: f.noHeading}
	return t.write(app.Stdout, rows, trustRow{})
}

// trustTypes are the values of trust set --type; the first is the default.
var trustTypes = []string{"signedBy", "accept", "reject", "sigstoreSigned"}

func newTrustSetCommand(app *App) *cobra.Command {
	var setting engine.TrustSetting
	cmd := &cobra.Command{
		Use:   "set [options] REGISTRY",
		Short: "Say which images are accepted",
		Long:  "Writes into policy.json what is asked of the images of a registry, or of a part of one: a signature by one key of each file, or none, or that they are never taken. \"default\" stands for all that is not named.",
		Example: `  vpod image trust set --type accept docker.io/library
  vpod image trust set --type signedBy --pubkeysfile release.gpg registry.example
  vpod image trust set --type reject default`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			setting.Scope = args[0]
			return eng.SetTrust(cmd.Context(), setting)
		},
		ValidArgsFunction: fixedWords("default"),
	}
	app.lazily(cmd, func() {
		setting.Type = trustTypes[0]
		cmd.Flags().StringSliceVarP(&setting.Keys, "pubkeysfile", "f", nil, "Ask for a signature by the key in this `file`")
		cmd.Flags().VarP(newChoice(&setting.Type, trustTypes...), "type", "t", "Ask `what`: signedBy, sigstoreSigned, accept or reject")
		completeFlag(cmd, "type", fixedWords(trustTypes...))
	})
	return cmd
}
