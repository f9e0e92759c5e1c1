package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func TestExitCode(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(&interruptError{signal: syscall.SIGINT})
	other := errors.New("other")
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"nothing", t.Context(), nil, 0},
		{"detached", t.Context(), fmt.Errorf("attach: %w", engine.ErrDetached), 0},
		{"any error", t.Context(), other, 125},
		{"usage", t.Context(), &usageError{err: other}, 125},
		{"the container's", t.Context(), exitWith(42), 42},
		{"with an error", t.Context(), &statusError{code: 127, err: other}, 127},
		{"typed by the engine", t.Context(), fmt.Errorf("start: %w", &engine.ExitError{Code: 126, Err: other}), 126},
		{"typed without a code", t.Context(), &engine.ExitError{Err: other}, 125},
		{"interrupted", interrupted, fmt.Errorf("wait: %w", context.Canceled), 130},
		{"interrupted, told before", interrupted, exitWith(125), 130},
		{"interrupted, and done", interrupted, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.ctx, tt.err); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}

func TestRemovalCode(t *testing.T) {
	state := fmt.Errorf("rm: %w", &container.StateError{Have: container.Running})
	missing, used, other := noContainer("x"), fmt.Errorf("rmi: %w", engine.ErrImageInUse), errors.New("other")
	tests := []struct {
		name string
		errs []error
		want int
	}{
		{"none", nil, 0},
		{"missing", []error{missing, engine.ErrNoImage}, 1},
		{"running", []error{missing, state}, 2},
		{"in use", []error{used}, 2},
		{"other", []error{missing, other}, 125},
	}
	for _, tt := range tests {
		if got := removalCode(tt.errs); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestPrintError(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(&interruptError{signal: syscall.SIGTERM})
	hint := &engine.HintError{Err: errors.New("no KVM"), Hint: "use TCG"}
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		want string
	}{
		{"plain", t.Context(), errors.New("no disk"), "Error: no disk\n"},
		{"hint", t.Context(), hint, "Error: no KVM\nHint: use TCG\n"},
		{"wrapped hint", t.Context(), fmt.Errorf("start web: %w", hint), "Error: start web: no KVM\nHint: use TCG\n"},
		{"no container", t.Context(), fmt.Errorf("x: %w", engine.ErrNoContainer), "Error: x: no such container\nHint: `vpod ps --all` lists the containers there are\n"},
		{"no image", t.Context(), fmt.Errorf("x: %w", engine.ErrNoImage), "Error: x: image not known\nHint: `vpod images` lists the images there are, `vpod pull` fetches others\n"},
		{"image in use", t.Context(), fmt.Errorf("x: %w", engine.ErrImageInUse), "Error: x: image is in use\nHint: remove the containers first; `vpod rmi --force` removes vpod's own with the image\n"},
		{"hint of the engine's", t.Context(), &engine.HintError{Err: engine.ErrNoImage, Hint: "look again"}, "Error: image not known\nHint: look again\n"},
		{"no hint", t.Context(), &engine.HintError{Err: errors.New("no KVM")}, "Error: no KVM\n"},
		{"usage", t.Context(), &usageError{err: errors.New("unknown flag: --x"), command: "vpod ps"}, "Error: unknown flag: --x\nSee 'vpod ps --help'\n"},
		{"several lines", t.Context(), errors.New("no boot\n\tpanic\r\n"), "Error: no boot\n\tpanic\n\n"},
		{"escapes of a guest", t.Context(), errors.New("exec \x1b]0;title\x07 \x9b31m\x00é"), "Error: exec \uFFFD]0;title\uFFFD \uFFFD31m\uFFFDé\n"},
		{"interrupted", interrupted, fmt.Errorf("logs: %w", context.Canceled), ""},
		{"interrupted, another error", interrupted, errors.New("no disk"), "Error: no disk\n"},
		{"cancelled otherwise", t.Context(), context.Canceled, "Error: context canceled\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.printError(tt.ctx, tt.err)
			if got := a.err.String(); got != tt.want {
				t.Errorf("printed %q, want %q", got, tt.want)
			}
		})
	}
}
