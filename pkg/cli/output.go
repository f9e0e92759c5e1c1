package cli

// Rules of output; every command keeps to them.
//
//   - What was asked for goes to standard output, and nothing else: ids, tables,
//     JSON, the container's own output. It can be piped.
//   - Progress, notices, warnings and errors go to standard error.
//   - An error is one line, "Error: …", naming what was asked and what is wrong;
//     lines below it say what to do. Warnings are "Warning: …".
//   - A verb on several containers prints each name it succeeded with, as the
//     user wrote it, and one error line for each other.
//   - Tables have upper-case headings, two spaces between columns, ids of twelve
//     digits; JSON has whole ids and four spaces of indentation.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"vpod/pkg/engine"
)

// notice prints one line for a person.
func (app *App) notice(line string) {
	end := "\n"
	if app.rawMode.Load() {
		end = "\r\n"
	}
	fmt.Fprint(app.Stderr, printable(line), end)
}

// warn prints a warning.
func (app *App) warn(format string, args ...any) {
	app.notice("Warning: " + fmt.Sprintf(format, args...))
}

// finish prints the outcome of a verb on several containers. The error it
// returns has been printed and carries only the exit code, which code derives
// from all the errors.
func (app *App) finish(ctx context.Context, results []engine.Result, code func([]error) int) error {
	var errs []error
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, r.Err)
			app.printError(ctx, r.Err)
			continue
		}
		name := r.Input
		if name == "" {
			name = r.ID
		}
		fmt.Fprintln(app.Stdout, name)
	}
	return exitWith(code(errs))
}

// ownFailure is the code of a verb whose errors are not told apart.
func ownFailure(errs []error) int {
	if len(errs) == 0 {
		return 0
	}
	return codeOwnFailure
}

// writeJSON prints v indented.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	return nil
}

// shortID is the form of an id in tables.
func shortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// printErrors prints each error. The error it returns carries only the code.
func (app *App) printErrors(ctx context.Context, errs []error, code func([]error) int) error {
	for _, err := range errs {
		app.printError(ctx, err)
	}
	return exitWith(code(errs))
}

// printable keeps a terminal from obeying a text: errors and notices may hold
// what a guest, a registry or a file said.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c == '\r':
			return -1
		case c < ' ' || (c >= 0x7f && c < 0xa0):
			return '\uFFFD'
		}
		return c
	}, s)
}
