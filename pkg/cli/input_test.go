package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

func TestInput(t *testing.T) {
	text := strings.Repeat("0123456789", 10000)
	for name, from := range map[string]io.Reader{
		"at once": strings.NewReader(text), "in pieces": iotest.HalfReader(strings.NewReader(text)), "with its end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		app := &App{Stdin: from}
		if got, err := io.ReadAll(app.input(t.Context())); err != nil || string(got) != text {
			t.Errorf("%s: read %d bytes, %v, want %d", name, len(got), err, len(text))
		}
	}
}

// idleReader is a pipe that nobody writes to.
type idleReader struct {
	reading chan struct{}   // closed when it is read from
	free    <-chan struct{} // until then
}

func (r idleReader) Read([]byte) (int, error) {
	close(r.reading)
	<-r.free
	return 0, io.EOF
}

// One interrupt is enough at a question, and with nothing coming out of a pipe.
func TestInterruptedInput(t *testing.T) {
	why := &interruptError{signal: syscall.SIGINT}
	for name, ask := range map[string]func(context.Context, *App) error{
		"a read":     func(ctx context.Context, app *App) error { _, err := app.input(ctx).Read(make([]byte, 1)); return err },
		"a question": func(ctx context.Context, app *App) error { _, err := app.confirm(ctx, "?"); return err },
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		a := newTestApp(t)
		idle := idleReader{reading: make(chan struct{}), free: t.Context().Done()}
		a.Stdin = idle
		go func() { ended <- ask(ctx, a.App) }()
		<-idle.reading
		cancel(why)
		if err := <-ended; !errors.Is(err, why) {
			t.Errorf("%s: %v, want %v", name, err, why)
		}
	}
}
