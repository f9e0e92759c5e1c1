package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/engine"
	"vpod/pkg/timing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fakeEngine answers with what a test puts into its fields; a method without one
// panics on the nil Engine.
type fakeEngine struct {
	Engine
	calls []string // what was called, in order
	ids   []string

	create     func(container.Spec, engine.CreateOptions) (container.Container, []string, error)
	startFunc  func(id string, opts engine.StartOptions) (int, error)
	attachFunc func(id string, s engine.Streams) (int, error)
	exec       func(name string, opts engine.ExecOptions) (int, string, error)
	results    func(sel engine.Selection) []engine.Result
	codes      []int
	list       []engine.Listed
	images     []engine.ImageSummary
	pulled     func(name string, opts engine.PullOptions) (engine.Image, error)
	removed    func(names []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error)
	inspected  func(name string) (*engine.ContainerInspect, error)
	image      func(name string) (*engine.ImageInspect, error)
	info       *engine.Info
	templates  []engine.Template
	disks      []engine.ImageDisk

	selection engine.Selection
	options   any // those of the last call
}

func (e *fakeEngine) called(name string) { e.calls = append(e.calls, name) }

func (e *fakeEngine) Close() error { e.called("close"); return nil }

func (e *fakeEngine) Create(_ context.Context, spec container.Spec, opts engine.CreateOptions) (container.Container, []string, error) {
	e.called("create")
	return e.create(spec, opts)
}

func (e *fakeEngine) Start(_ context.Context, id string, opts engine.StartOptions) (int, error) {
	e.called("start " + id)
	return e.startFunc(id, opts)
}

func (e *fakeEngine) PrepareStart(context.Context, string) error { return nil }

func (e *fakeEngine) StartSelected(_ context.Context, sel engine.Selection) []engine.Result {
	return e.each("start selected", sel, nil)
}

func (e *fakeEngine) Attach(_ context.Context, id string, s engine.Streams) (int, error) {
	e.called("attach " + id)
	return e.attachFunc(id, s)
}

func (e *fakeEngine) Exec(_ context.Context, name string, opts engine.ExecOptions) (int, string, error) {
	e.called("exec " + name)
	return e.exec(name, opts)
}

func (e *fakeEngine) each(name string, sel engine.Selection, opts any) []engine.Result {
	e.called(name)
	e.selection, e.options = sel, opts
	if e.results == nil {
		return nil
	}
	return e.results(sel)
}

func (e *fakeEngine) Stop(_ context.Context, sel engine.Selection, opts engine.StopOptions) []engine.Result {
	return e.each("stop", sel, opts)
}

func (e *fakeEngine) Kill(_ context.Context, sel engine.Selection, signal int) []engine.Result {
	return e.each("kill", sel, signal)
}

func (e *fakeEngine) Pause(_ context.Context, sel engine.Selection) []engine.Result {
	return e.each("pause", sel, nil)
}

func (e *fakeEngine) Unpause(_ context.Context, sel engine.Selection) []engine.Result {
	return e.each("unpause", sel, nil)
}

func (e *fakeEngine) Restart(_ context.Context, sel engine.Selection, opts engine.StopOptions, running bool) []engine.Result {
	if running {
		return e.each("restart running", sel, opts)
	}
	return e.each("restart", sel, opts)
}

func (e *fakeEngine) Remove(_ context.Context, sel engine.Selection, opts engine.RemoveOptions) []engine.Result {
	return e.each("remove", sel, opts)
}

func (e *fakeEngine) Wait(_ context.Context, sel engine.Selection, opts engine.WaitOptions) ([]int, []engine.Result) {
	return e.codes, e.each("wait", sel, opts)
}

func (e *fakeEngine) List(_ context.Context, opts engine.ListOptions) ([]engine.Listed, error) {
	e.called("list")
	e.options = opts
	return e.list, nil
}

func (e *fakeEngine) Get(_ context.Context, name string) (engine.Listed, error) {
	e.called("get " + name)
	for _, l := range e.list {
		if l.Spec.Name == name || strings.HasPrefix(l.Spec.ID, name) {
			return l, nil
		}
	}
	return engine.Listed{}, noContainer(name)
}

func (e *fakeEngine) Inspect(_ context.Context, name string, _ bool) (*engine.ContainerInspect, error) {
	e.called("inspect " + name)
	return e.inspected(name)
}

func (e *fakeEngine) InspectImage(_ context.Context, name string) (*engine.ImageInspect, error) {
	e.called("inspect image " + name)
	return e.image(name)
}

func (e *fakeEngine) Logs(_ context.Context, names []string, opts engine.LogOptions, stdout, _ io.Writer) error {
	e.called("logs " + strings.Join(names, " "))
	e.options = opts
	_, err := io.WriteString(stdout, "a line\n")
	return err
}

func (e *fakeEngine) Info(context.Context) (*engine.Info, error) { return e.info, nil }

func (e *fakeEngine) Pull(_ context.Context, name string, opts engine.PullOptions) (engine.Image, error) {
	e.called("pull " + name)
	return e.pulled(name, opts)
}

func (e *fakeEngine) Images(_ context.Context, reference string, filters []string, _ bool) ([]engine.ImageSummary, error) {
	e.called("images " + strings.Join(slices.Concat([]string{reference}, filters), " "))
	return e.images, nil
}

func (e *fakeEngine) ImageExists(_ context.Context, name string) (bool, error) {
	return slices.ContainsFunc(e.images, func(s engine.ImageSummary) bool { return slices.Contains(s.Names, name) }), nil
}

func (e *fakeEngine) RemoveImages(_ context.Context, names []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error) {
	e.called("remove images " + strings.Join(names, " "))
	return e.removed(names, opts)
}

func (e *fakeEngine) Tag(_ context.Context, name string, names []string) error {
	e.called("tag " + name + " " + strings.Join(names, " "))
	return nil
}

func (e *fakeEngine) Untag(_ context.Context, name string, names []string) error {
	e.called("untag " + name + " " + strings.Join(names, " "))
	return nil
}

func (e *fakeEngine) Load(_ context.Context, input string, _ io.Reader, _ io.Writer) ([]string, error) {
	e.called("load " + input)
	return []string{"localhost/a:1"}, nil
}

func (e *fakeEngine) Save(_ context.Context, names []string, opts engine.SaveOptions) error {
	e.called("save " + strings.Join(names, " "))
	e.options = opts
	return nil
}

func (e *fakeEngine) CompleteContainers(_ context.Context, states ...container.State) []string {
	e.ids = nil
	for _, s := range states {
		e.ids = append(e.ids, string(s))
	}
	return []string{"web", "db"}
}

func (e *fakeEngine) CompleteImages(context.Context) []string { return []string{"localhost/a:1"} }

func (e *fakeEngine) PruneDisks(context.Context) ([]engine.ImageDisk, error) {
	e.called("prune disks")
	return e.disks, nil
}

func (e *fakeEngine) PruneTemplates(context.Context) ([]engine.Template, error) {
	e.called("prune templates")
	return e.templates, nil
}

func (e *fakeEngine) Templates(context.Context) ([]engine.Template, error) { return e.templates, nil }

func (e *fakeEngine) BuildTemplate(_ context.Context, r engine.TemplateRequest) (string, error) {
	e.called("build template " + string(r.Network))
	e.options = r
	return "key-" + string(r.Network), nil
}

func (e *fakeEngine) RemoveTemplates(_ context.Context, keys []string, all bool) []engine.Result {
	return e.each("remove templates", engine.Selection{Names: keys, All: all}, nil)
}

func (e *fakeEngine) CompleteTemplates(context.Context) []string {
	return []string{"0123456789abcdef"}
}

func noContainer(name string) error {
	return errors.Join(&namedError{name: name, cause: engine.ErrNoContainer})
}

// namedError is an error about name.
type namedError struct {
	name  string
	cause error
}

func (e *namedError) Error() string { return e.cause.Error() + ": " + e.name }
func (e *namedError) Unwrap() error { return e.cause }

// fakeTerminal says which streams are terminals.
type fakeTerminal struct {
	terminals []int
	size      engine.Size
	raw       int // how often raw mode was entered, less how often it was left
}

func (f *fakeTerminal) ReadPassword(int) ([]byte, error) { return []byte("secret"), nil }

func (f *fakeTerminal) IsTerminal(stream int) bool { return slices.Contains(f.terminals, stream) }

func (f *fakeTerminal) Size() (engine.Size, error) {
	if len(f.terminals) == 0 {
		return engine.Size{}, errors.New("no terminal")
	}
	return f.size, nil
}

func (f *fakeTerminal) MakeRaw() (func() error, error) {
	f.raw++
	return func() error { f.raw--; return nil }, nil
}

// testApp is an App of which a test sees everything.
type testApp struct {
	*App
	engine   *fakeEngine
	terminal *fakeTerminal
	out, err bytes.Buffer
	entered  int // how often the user namespace was entered
	opened   int // how often the engine was
}

// testNow is the present of all tests.
var testNow = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

func newTestApp(t *testing.T) *testApp {
	t.Helper()
	a := &testApp{engine: &fakeEngine{}, terminal: &fakeTerminal{}}
	a.App = &App{
		Stdin:    strings.NewReader(""),
		Stdout:   &a.out,
		Stderr:   &a.err,
		Terminal: a.terminal,
		Args:     []string{"vpod"},
		Environ:  []string{"HOME=/home/u", "LANG=C", "LC_ALL=C.UTF-8", "LC_TIME=C"},
		Now:      func() time.Time { return testNow },
		Version: func() engine.Version {
			return engine.Version{Client: engine.VersionInfo{Version: "1.2.3", APIVersion: "1", GoVersion: "go1.26", OsArch: "linux/amd64", Os: "linux"}}
		},
		Config: func() (*config.Config, error) {
			return &config.Config{PidsLimit: 2048, StopTimeoutSeconds: 10, LogDriver: "k8s-file", DetachKeys: "ctrl-p,ctrl-q"}, nil
		},
		NewEngine:          func(engine.Options) (Engine, error) { a.opened++; return a.engine, nil },
		EnterUserNamespace: func(*slog.Logger) error { a.entered++; return nil },
		RunMonitor:         func(context.Context, string, *timing.Recorder) error { return nil },
	}
	return a
}

// run carries out a command line and returns its exit code.
func (a *testApp) run(t *testing.T, args ...string) int {
	t.Helper()
	a.App.Args = append([]string{"vpod"}, args...)
	a.out.Reset()
	a.err.Reset()
	return a.App.Run(t.Context(), args)
}

// refused reports whether a table names an error, and, where it does, checks that the
// command line it was to be refused with said so.
func (a *testApp) refused(t *testing.T, code int, want string) bool {
	t.Helper()
	if want == "" {
		return false
	}
	if code != 125 || !strings.Contains(a.err.String(), want) {
		t.Errorf("exit code %d, %q, want 125 and %q", code, a.err.String(), want)
	}
	return true
}

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./pkg/cli -update rewrites it):\n got:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestForgetGoneRunDir(t *testing.T) {
	there := t.TempDir()
	for _, tt := range []struct{ name, set, want string }{
		{"there", there, there},
		{"gone", there + "/gone", ""},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("XDG_RUNTIME_DIR", tt.set)
			forgetGoneRunDir()
			if got := os.Getenv("XDG_RUNTIME_DIR"); got != tt.want {
				t.Errorf("XDG_RUNTIME_DIR is %q, want %q", got, tt.want)
			}
		})
	}
}
