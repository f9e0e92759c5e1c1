package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// The exit codes of vpod, as Podman's manual pages give them; each man page
// repeats its part under EXIT STATUS.
//
//	0        done; `exists`: there is one; attached: the process ended with 0, or
//	         the user typed the detach keys
//	1        exists, rm, rmi, template rm: there is no such container, image or template
//	2        rm: the container runs; rmi: a container uses the image
//	125      any other failure of vpod itself
//	126, 127 run, start, exec: the command cannot be executed, does not exist
//	128+n    vpod was ended by signal n
//	others   run, start --attach, attach, exec: the process's own
const (
	codeOwnFailure = engine.ExitOwnFailure
	codeNotFound   = 1
	codeInUse      = 2
	codeSignalBase = 128
)

// statusError ends the command with a code. A nil Err prints nothing: all is
// said already, or the code is the container's own.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// exitWith makes the error for a process's exit code; 0 is no error.
func exitWith(code int) error {
	if code == 0 {
		return nil
	}
	return &statusError{code: code}
}

// interruptError is the cause of a context ended by a signal.
type interruptError struct{ signal os.Signal }

func (e *interruptError) Error() string { return "interrupted by signal: " + e.signal.String() }

// code is what a shell reports for a command this signal ended.
func (e *interruptError) code() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return codeSignalBase + int(n)
	}
	return codeOwnFailure
}

// usageError is a command line that cannot be understood.
type usageError struct {
	err     error
	command string // whose --help says more, as "vpod run"
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitCode is the one place that turns an error into the code of the process.
func exitCode(ctx context.Context, err error) int {
	if err == nil || errors.Is(err, engine.ErrDetached) {
		return 0
	}
	var interrupted *interruptError
	if errors.As(context.Cause(ctx), &interrupted) {
		return interrupted.code()
	}
	var status *statusError
	if errors.As(err, &status) {
		return status.code
	}
	var exit *engine.ExitError
	if errors.As(err, &exit) && exit.Code != 0 {
		return exit.Code
	}
	return codeOwnFailure
}

// removalCode is the code of rm, rmi and template rm for the errors they met: scripts tell
// "was not there" and "is in use" from other failures.
func removalCode(errs []error) int {
	missing := func(err error) bool {
		return errors.Is(err, engine.ErrNoContainer) || errors.Is(err, engine.ErrNoImage) || errors.Is(err, engine.ErrNoTemplate)
	}
	inUse := func(err error) bool {
		var state *container.StateError
		return errors.Is(err, engine.ErrImageInUse) || errors.As(err, &state)
	}
	switch {
	case len(errs) == 0:
		return 0
	case slices.ContainsFunc(errs, inUse):
		return codeInUse
	case !slices.ContainsFunc(errs, func(err error) bool { return !missing(err) }):
		return codeNotFound
	}
	return codeOwnFailure
}

// end prints what went wrong, if anything did, and returns the exit code.
func (app *App) end(ctx context.Context, err error) int {
	code := exitCode(ctx, err)
	if code == 0 {
		return 0
	}
	var status *statusError
	if errors.As(err, &status) && status.err == nil {
		return code
	}
	app.printError(ctx, err)
	return code
}

// commonHint is what to do about errors that mean the same whichever verb meets
// them; the engine's own hints go before.
func commonHint(err error) string {
	switch {
	case errors.Is(err, engine.ErrNoContainer):
		return "`vpod ps --all` lists the containers there are"
	case errors.Is(err, engine.ErrImageInUse):
		return "remove the containers first; `vpod rmi --force` removes vpod's own with the image"
	case errors.Is(err, engine.ErrNoImage):
		return "`vpod images` lists the images there are, `vpod pull` fetches others"
	}
	return ""
}

// printError prints one error, and below it what to do about it. That a command
// was interrupted is no news to who did it.
func (app *App) printError(ctx context.Context, err error) {
	var interrupted *interruptError
	if errors.As(context.Cause(ctx), &interrupted) && (errors.Is(err, context.Canceled) || errors.As(err, &interrupted)) {
		return
	}
	text, hint := err.Error(), commonHint(err)
	var hinted *engine.HintError
	if errors.As(err, &hinted) {
		hint = hinted.Hint
		text = strings.TrimSuffix(text, ": "+hint)
	}
	fmt.Fprintf(app.Stderr, "Error: %s\n", printable(text))
	if hint != "" {
		fmt.Fprintf(app.Stderr, "Hint: %s\n", printable(hint))
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(app.Stderr, "See '%s --help'\n", usage.command)
	}
}
