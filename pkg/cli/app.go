package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"vpod/pkg/config"
	"vpod/pkg/engine"
	"vpod/pkg/paths"
	"vpod/pkg/timing"
)

// Engine is all that the commands ask of the engine, each part declared beside
// the commands that use it.
type Engine interface {
	creator
	starter
	attacher
	executor
	stopper
	killer
	pauser
	restarter
	remover
	waiter
	lister
	getter
	containerInspector
	imageInspector
	historian
	importer
	listEditor
	imageMounter
	storeCopier
	logReader
	informer
	puller
	pusher
	authenticator
	imageCopier
	remoteInspector
	searcher
	imageSyncer
	truster
	imageSigner
	imageLister
	imageRemover
	tagger
	loader
	saver
	systemPruner
	diskMeasurer
	templater
	committer
	completer
	exporter
	differ
	releaser
	builder
	Close() error
}

var _ Engine = (*engine.Engine)(nil)

// App is what every command is given. The fields are fixed once the program has
// begun; functions stand for what is expensive and is only done when asked for.
type App struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       Terminal

	Args      []string // the process's own command line
	Environ   []string // "KEY=value"
	Now       func() time.Time
	Version   func() engine.Version
	Config    func() (*config.Config, error) // containers.conf
	NewEngine func(engine.Options) (Engine, error)
	// NewOCIRuntime opens vpod as a runtime over a directory, "" being the usual one.
	NewOCIRuntime func(o engine.Options, root string) (OCIRuntime, error)
	// EnterUserNamespace makes the image store usable; for an ordinary user the
	// command starts again in a user namespace and only there returns.
	EnterUserNamespace func(*slog.Logger) error
	// RunMonitor is the life of a container's monitor.
	RunMonitor func(ctx context.Context, launchPath string, record *timing.Recorder) error
	// TakeSignals leaves INT, TERM and HUP, which otherwise end the command, to
	// the caller. Nil in tests.
	TakeSignals func()
	// Loaded are the marks of the time before main, see timing.go.
	Loaded []timing.Mark

	global     globalFlags
	opened     Engine
	unprepared map[*cobra.Command]func() // how commands get their options, see lazy.go
	timing     timingFlag
	rawMode    atomic.Bool // standard input is a terminal in raw mode: lines need a carriage return
}

// NewApp returns the App of this process. args is its command line with the
// program's name.
func NewApp(args []string) *App {
	return &App{
		Stdin:              os.Stdin,
		Stdout:             os.Stdout,
		Stderr:             os.Stderr,
		Terminal:           systemTerminal{},
		Args:               args,
		Environ:            os.Environ(),
		Now:                time.Now,
		Version:            engineVersion,
		Config:             config.Load,
		NewEngine:          func(o engine.Options) (Engine, error) { return engine.New(o) },
		NewOCIRuntime:      newOCIRuntime,
		EnterUserNamespace: engine.EnterUserNamespace,
		RunMonitor:         engine.RunMonitor,
	}
}

// engineVersion asks the engine; constructing one opens nothing.
func engineVersion() engine.Version { return (*engine.Engine)(nil).Version() }

// Main runs the command line args, program name included, and returns the exit
// code of the process.
func Main(args []string, began Began) int {
	loaded := began.marks() // first, as it changes the environment
	args = asRuntime(args)
	forgetGoneRunDir()
	app := NewApp(args)
	app.Loaded = loaded
	ctx, release := untilInterrupted(context.Background())
	defer release()
	app.TakeSignals = release
	return app.Run(ctx, args[1:])
}

// forgetGoneRunDir unsets XDG_RUNTIME_DIR if what it names has gone, as in a tmux
// that outlived the login it began in: vpod and the libraries then look where
// they do without it, in place of refusing to work.
func forgetGoneRunDir() {
	if _, err := os.Stat(os.Getenv("XDG_RUNTIME_DIR")); errors.Is(err, fs.ErrNotExist) {
		_ = os.Unsetenv("XDG_RUNTIME_DIR") // can only fail for another name
	}
}

// Run carries out one command line, without the program's name, prints its
// result and returns the exit code.
func (app *App) Run(ctx context.Context, args []string) int {
	root := newRootCommand(app)
	app.prepare(root, args)
	root.SetArgs(args)
	root.SetIn(app.Stdin)
	root.SetOut(app.Stdout)
	root.SetErr(app.Stderr)
	err := root.ExecuteContext(ctx)
	if closeErr := app.closeEngine(); err == nil && closeErr != nil {
		err = fmt.Errorf("close vpod's state: %w", closeErr)
	}
	app.timing.record.Mark("close the state")
	code := app.end(ctx, err)
	app.showTiming()
	return code
}

// engine opens the engine at first use. Run closes it.
func (app *App) engine() (Engine, error) {
	if app.opened != nil {
		return app.opened, nil
	}
	e, err := app.NewEngine(engine.Options{
		Paths:  paths.Override{Root: app.global.root, RunRoot: app.global.runRoot},
		Log:    app.log(),
		Notice: app.notice,
		Timing: app.timing.record,
	})
	if err != nil {
		return nil, err
	}
	app.opened = e
	return e, nil
}

// closeEngine closes what engine opened.
func (app *App) closeEngine() error {
	e := app.opened
	if e == nil {
		return nil
	}
	app.opened = nil
	return e.Close()
}

// enterStore makes the image store usable. An ordinary user's command begins
// anew in its user namespace, so nothing may have been printed or be open.
func (app *App) enterStore() error {
	if err := app.closeEngine(); err != nil {
		return fmt.Errorf("close vpod's state: %w", err)
	}
	defer app.timing.record.HandOver()()
	return app.EnterUserNamespace(app.log())
}

// log returns the logger for debugging, at the level of --log-level.
func (app *App) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(app.Stderr, &slog.HandlerOptions{Level: app.global.level.slog()}))
}

// setLogLevels makes the libraries' logger speak as loudly as ours: it prints
// information lines otherwise.
func (app *App) setLogLevels() {
	logrus.SetOutput(app.Stderr)
	logrus.SetLevel(app.global.level.logrus())
}
