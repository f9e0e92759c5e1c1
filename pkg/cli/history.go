package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// historian is what history and image tree need of the engine.
type historian interface {
	ImageHistory(ctx context.Context, name string) ([]engine.ImageHistory, error)
	ImageTree(ctx context.Context, name string, children bool) (string, error)
}

type historyFlags struct {
	format  string
	human   bool
	noTrunc bool
	quiet   bool
}

func (f *historyFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.format, "format", "", "Print in this `format`: json, or a Go template")
	flags.BoolVarP(&f.human, "human", "H", true, "Print how long ago a step was made, not when")
	flags.BoolVar(&f.noTrunc, "no-trunc", false, "Print whole ids and commands")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Print only ids")
}

func newHistoryCommand(app *App) *cobra.Command {
	var opts historyFlags
	cmd := withStore(&cobra.Command{
		Use:   "history [options] IMAGE",
		Short: "Show how an image was made",
		Long:  "Lists the steps an image of the local store was made in, the last one first.",
		Example: `  vpod history alpine
  vpod history --no-trunc --format "{{.CreatedBy}} {{.Size}}" alpine`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.history(cmd.Context(), opts, args[0])
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "format", fixedWords("json", "table"))
	})
	return cmd
}

func (app *App) history(ctx context.Context, f historyFlags, name string) error {
	eng, err := app.engine()
	if err != nil {
		return err
	}
	steps, err := eng.ImageHistory(ctx, name)
	if err != nil {
		return err
	}
	if isJSON(f.format) {
		return app.writeHistoryJSON(steps)
	}
	rows := make([]historyRow, 0, len(steps))
	for _, step := range steps {
		rows = append(rows, historyRow{step: step, flags: f, now: app.Now()})
	}
	if f.quiet {
		for _, r := range rows {
			fmt.Fprintln(app.Stdout, r.ID())
		}
		return nil
	}
	t := table{
		name:     "history",
		columns:  `{{range .}}{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}` + "\n{{end -}}",
		headings: map[string]string{"CreatedBy": "created by", "CreatedSince": "created", "CreatedAt": "created at"},
	}
	if f.format != "" && f.format != "table" {
		t.format = f.format
	}
	return t.write(app.Stdout, rows, historyHeadingFields{})
}

// historyRow is one step as templates see it; see podman-history(1), "--format".
type historyRow struct {
	step  engine.ImageHistory
	flags historyFlags
	now   time.Time
}

type historyHeadingFields struct {
	ID, Created, CreatedSince, CreatedAt, CreatedBy, Size, Comment, Tags string
}

// createdByWidth is how much of a command is shown (podman,
// cmd/podman/images/history.go).
const createdByWidth = 45

func (r historyRow) ID() string {
	if r.flags.noTrunc {
		return r.step.ID
	}
	return shortID(r.step.ID)
}

func (r historyRow) created() time.Time {
	if r.step.Created == nil {
		return time.Time{}
	}
	return r.step.Created.UTC()
}

func (r historyRow) Created() string {
	if r.flags.human {
		return ago(r.now, r.created())
	}
	return r.created().Format(time.RFC3339)
}

func (r historyRow) CreatedSince() string { return r.Created() }
func (r historyRow) CreatedAt() string    { return r.created().Truncate(time.Second).String() }
func (r historyRow) Comment() string      { return oneLine(printable(r.step.Comment)) }
func (r historyRow) Size() string         { return humanSize(r.step.Size) }
func (r historyRow) Tags() []string       { return r.step.Tags }

func (r historyRow) CreatedBy() string {
	text := []rune(oneLine(printable(r.step.CreatedBy)))
	if !r.flags.noTrunc && len(text) > createdByWidth {
		return string(text[:createdByWidth-3]) + "..."
	}
	return string(text)
}

// historyEntry is a step as --format json prints it; the keys are Podman's.
type historyEntry struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created"`
	CreatedBy   string    `json:"CreatedBy,omitempty"`
	Tags        []string  `json:"tags,omitempty"`
	Size        int64     `json:"size"`
	Comment     string    `json:"comment,omitempty"`
	CreatedText string    `json:"Created"`
}

func (app *App) writeHistoryJSON(steps []engine.ImageHistory) error {
	entries := make([]historyEntry, 0, len(steps))
	for _, s := range steps {
		created := historyRow{step: s}.created()
		entries = append(entries, historyEntry{
			ID: s.ID, Created: created, CreatedBy: s.CreatedBy, Tags: s.Tags, Size: s.Size, Comment: s.Comment,
			CreatedText: created.Format(time.RFC3339),
		})
	}
	if err := json.NewEncoder(app.Stdout).Encode(entries); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	return nil
}
