package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/moby/term"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// attachFlags are the options of every command that connects the user with a
// process.
type attachFlags struct {
	detachKeys string
	sigProxy   bool
	changed    func(flag string) bool
}

func (f *attachFlags) addFlags(flags *pflag.FlagSet) {
	f.addDetachKeys(flags)
	flags.BoolVar(&f.sigProxy, "sig-proxy", true, "Pass the signals vpod gets on to the container")
}

func (f *attachFlags) addDetachKeys(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.StringVar(&f.detachKeys, "detach-keys", "", "Detach by this `sequence` of keys, \"\" for none (default ctrl-p,ctrl-q)")
}

// keys returns the bytes of the detach sequence.
func (f *attachFlags) keys(app *App) ([]byte, error) {
	sequence := f.detachKeys
	if !f.changed("detach-keys") {
		cfg, err := app.Config()
		if err != nil {
			return nil, err
		}
		sequence = cfg.DetachKeys
	}
	if sequence == "" {
		return nil, nil
	}
	keys, err := term.ToBytes(sequence)
	if err != nil {
		return nil, fmt.Errorf("--detach-keys %q: give single characters and ctrl-X, separated by commas, where X is a letter or one of @ ^ [ \\ ] _", sequence)
	}
	return keys, nil
}

// sessionOptions say which streams are connected and how.
type sessionOptions struct {
	stdin, stdout, stderr bool
	tty                   bool // the process has a terminal
	forward               bool // signals go to the process; only without tty
	detachKeys            []byte
}

// session connects vpod's own standard streams with a process until closed.
type session struct {
	ctx     context.Context // for the attached call; ended when the user insists on leaving
	streams engine.Streams
	size    *engine.Size // initial one, with a terminal
	undo    []func()
}

// openSession takes over terminal and signals. The caller closes the session
// before it prints anything; closing more than once does nothing, and a deferred
// close restores the terminal even when the program panics.
func (app *App) openSession(ctx context.Context, o sessionOptions) (*session, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &session{ctx: ctx, undo: []func(){func() { cancel(nil) }}}
	s.streams.DetachKeys = o.detachKeys
	if o.stdin {
		s.streams.Stdin = app.Stdin
	}
	if o.stdout {
		s.streams.Stdout = app.Stdout
	}
	if o.stderr {
		s.streams.Stderr = app.Stderr
	}
	if o.tty {
		app.followSize(s)
		if o.stdin && app.Terminal.IsTerminal(0) {
			restore, err := app.Terminal.MakeRaw()
			if err != nil {
				s.close()
				return nil, err
			}
			app.rawMode.Store(true)
			s.undo = append(s.undo, func() { app.rawMode.Store(false); _ = restore() })
		}
	}
	if o.forward {
		signals, stop := forwardSignals(o.tty, func(sig os.Signal) { cancel(&interruptError{signal: sig}) })
		s.streams.Signals = signals
		s.undo = append(s.undo, stop)
		if app.TakeSignals != nil {
			app.TakeSignals()
		}
	}
	return s, nil
}

// followSize makes the session's resize channel: the present size, then a new
// one at each SIGWINCH. Only the latest is kept for a slow reader. Without a
// terminal of our own, the process's keeps its default size.
func (app *App) followSize(s *session) {
	size, err := app.Terminal.Size()
	if err != nil {
		return
	}
	s.size = &size
	sizes := make(chan engine.Size, 1)
	sizes <- size
	s.streams.Resize = sizes
	winch := make(chan os.Signal, 1)
	signal.Notify(winch, syscall.SIGWINCH)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-winch:
			case <-done:
				return
			}
			if size, err := app.Terminal.Size(); err == nil {
				select {
				case <-sizes:
				default:
				}
				sizes <- size // never blocks: this is the only sender
			}
		}
	})
	s.undo = append(s.undo, func() {
		signal.Stop(winch)
		close(done)
		wg.Wait()
	})
}

// close gives terminal and signals back.
func (s *session) close() {
	undo := s.undo
	s.undo = nil
	for _, f := range slices.Backward(undo) {
		f()
	}
}

// leave closes the session and makes the command's error: the process's exit
// code, or what went wrong.
func (s *session) leave(code int, err error) error {
	var interrupted *interruptError
	gaveUp := errors.As(context.Cause(s.ctx), &interrupted)
	s.close()
	switch {
	case errors.Is(err, engine.ErrDetached):
		return nil
	case err == nil:
		return exitWith(code)
	case gaveUp:
		return &statusError{code: interrupted.code(), err: interrupted}
	case code != 0:
		return &statusError{code: code, err: err}
	}
	return err
}
