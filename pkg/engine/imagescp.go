package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// ImageAt is an image in this store or in that of another host.
type ImageAt struct {
	Host  string // as ssh(1) knows it, [USER@]HOST; "" is here
	Image string // a name or id; "" for a destination
}

// ParseImageAt reads [[USER@]HOST::][IMAGE]. Both parts become words of a shell's
// command on the other host, so that nothing is taken that would mean more there.
func ParseImageAt(s string) (ImageAt, error) {
	var at ImageAt
	host, image, remote := "", s, false
	if i := strings.LastIndex(s, "::"); i >= 0 { // an address of IPv6 may hold others
		host, image, remote = s[:i], s[i+2:], true
	}
	if remote && !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@%:-]*$`).MatchString(host) {
		return at, fmt.Errorf("%q: before :: goes a host as ssh(1) knows it", s)
	}
	if image != "" && !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./:@-]*$`).MatchString(image) {
		return at, fmt.Errorf("%q is no name of an image", image)
	}
	return ImageAt{Host: host, Image: image}, nil
}

// ScpOptions say how an image is copied from store to store.
type ScpOptions struct {
	Quiet          bool
	Stdout, Stderr io.Writer // of the commands that save and load
}

// There may be vpod on the other host, or Podman, which saves and loads the same
// archives.
const remoteTool = `$(command -v vpod || command -v podman || echo vpod)`

// ScpImage copies an image from the store of one host to that of another, by way
// of ssh(1): what one saves another loads. The stores are opened by commands of
// their own, because ssh looks for its keys as the user, which a process in a user
// namespace is no more.
func (e *Engine) ScpImage(command context.Context, from, to ImageAt, opts ScpOptions) error {
	ctx, cancel := context.WithCancel(command)
	defer cancel()
	save, err := e.scpCommand(ctx, from.Host, opts, "save", from.Image)
	if err != nil {
		return err
	}
	load, err := e.scpCommand(ctx, to.Host, opts, "load")
	if err != nil {
		return err
	}
	said, err := joinScp(save, load, opts.Stdout)
	if err != nil {
		cancel()
		reap(save)
		reap(load)
		return fmt.Errorf("copy image %s: %w", from.Image, err)
	}
	saving := make(chan error, 1)
	go func() { saving <- save.Wait() }()
	loaded := load.Wait()
	saidFirst := false
	select {
	case <-said:
		saidFirst = true // it ends by itself
	default:
		if loaded != nil {
			cancel() // nobody reads any more
		}
	}
	saved := <-saving
	switch {
	case command.Err() != nil && (saved != nil || loaded != nil):
		return context.Cause(command)
	case saved != nil && (saidFirst || loaded == nil):
		return fmt.Errorf("save image %s%s: %w", from.Image, where(from), saved)
	case loaded != nil:
		return fmt.Errorf("load image %s%s: %w", from.Image, where(to), loaded)
	}
	return nil
}

// joinScp starts both commands and leads what save says to load. said is closed when
// save has come to its end, before load can know: who then fails lacked the other, or
// what it said. After an error the caller reaps what was started.
func joinScp(save, load *exec.Cmd, stdout io.Writer) (said <-chan struct{}, err error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		files = append(files, r, w)
	}
	fromSave, toLoad := files[0], files[3]
	save.Stdout, load.Stdin, load.Stdout = files[1], files[2], stdout
	if err := save.Start(); err != nil {
		return nil, err
	}
	if err := load.Start(); err != nil {
		return nil, err
	}
	files = files[1:3] // the commands' own; the others live as long as they talk
	end := make(chan struct{})
	go func() {
		defer toLoad.Close()
		defer fromSave.Close() // or save would wait for somebody to read
		if _, err := io.Copy(toLoad, fromSave); err == nil {
			close(end)
		}
	}()
	return end, nil
}

// reap waits for a command if it was started; how it ended does not matter.
func reap(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = cmd.Wait()
	}
}

// scpCommand is the command that saves or loads, here or on a host.
func (e *Engine) scpCommand(ctx context.Context, host string, opts ScpOptions, verb string, args ...string) (*exec.Cmd, error) {
	words := []string{verb}
	if opts.Quiet || verb == "save" { // the progress of one is enough
		words = append(words, "--quiet")
	}
	words = append(words, args...)
	var cmd *exec.Cmd
	if host != "" {
		cmd = exec.CommandContext(ctx, "ssh", "--", host, remoteTool+" "+strings.Join(words, " "))
	} else {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find vpod's own program: %w", err)
		}
		var global []string
		if p := e.opts.Paths; p.Root != "" {
			global = append(global, "--root", p.Root)
		}
		if p := e.opts.Paths; p.RunRoot != "" {
			global = append(global, "--runroot", p.RunRoot)
		}
		cmd = exec.CommandContext(ctx, self, append(global, words...)...)
	}
	cmd.Stderr = opts.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it removes what it has begun
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

func where(at ImageAt) string {
	if at.Host == "" {
		return ""
	}
	return " on " + at.Host
}
