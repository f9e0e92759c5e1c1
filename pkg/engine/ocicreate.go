package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/pkg/bundle"
)

// OCICreateOptions are those of the runtime's create.
type OCICreateOptions struct {
	Bundle        string
	PIDFile       string
	ConsoleSocket string
	Leash         int    // id of a process whose end ends the container; 0 is none
	Keeper        string // directory of a keeper, see OCIShimOptions
}

// Create makes a container from a bundle: its machine comes up, its process waits
// for Start. What stands for it from now on is the shim, a child of this process
// that inherits its standard streams, lives as long as the container and ends with
// its exit code.
func (r *OCIRuntime) Create(ctx context.Context, id string, o OCICreateOptions) (err error) {
	if err := checkOCIID(id); err != nil {
		return err
	}
	b, err := bundle.Read(o.Bundle)
	if err != nil {
		return err
	}
	plan, err := bundle.Translate(&b.Config)
	if err != nil {
		return fmt.Errorf("container %q: %w", id, err)
	}
	switch terminal := b.Config.Process.Terminal; {
	case terminal && o.ConsoleSocket == "":
		return errors.New("process.terminal asks for a terminal: give --console-socket")
	case !terminal && o.ConsoleSocket != "":
		return errors.New("--console-socket: process.terminal asks for no terminal")
	}
	if err := os.MkdirAll(r.root, 0o700); err != nil {
		return fmt.Errorf("runtime's root: %w", err)
	}
	dir := r.dir(id)
	if err := os.Mkdir(string(dir), 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("container with id %q exists already", id)
		}
		return err
	}
	var shim *ociShim
	defer func() {
		if err != nil {
			shim.kill()
			err = errors.Join(err, r.remove(id))
		}
	}()
	if err := errors.Join(dir.files().Make(), os.Mkdir(dir.tree(), 0o700)); err != nil {
		return err
	}
	rec := ociRecord{ID: id, Bundle: b.Dir, Rootfs: b.Rootfs, Created: time.Now().UTC(), Annotations: b.Config.Annotations}
	if err := r.save(rec); err != nil {
		return err
	}
	if shim, err = r.startShim(ctx, plan.Network.Path, nil,
		"--leash", strconv.Itoa(o.Leash), "--keeper", o.Keeper, "shim", "--console-socket", o.ConsoleSocket, id); err != nil {
		return err
	}
	rec.PID = shim.pid
	if err := r.save(rec); err != nil {
		return err
	}
	if err := r.createHooks(ctx, b, rec); err != nil {
		return err
	}
	return writePIDFile(o.PIDFile, shim.pid)
}

// own notes that this process stands for a container. create, which may be killed
// meanwhile, has not done so yet: nobody would know whom to end. A container that was
// deleted meanwhile is an error, which ends this process.
func (r *OCIRuntime) own(id string) error {
	rec, err := r.load(id)
	if err != nil {
		return err
	}
	rec.PID = os.Getpid()
	return r.save(rec)
}

// createHooks runs the hooks of creation. All of them run where this process is:
// there is no namespace of the container on the host but for that of its mounts.
func (r *OCIRuntime) createHooks(ctx context.Context, b *bundle.Bundle, rec ociRecord) error {
	h := b.Config.Hooks
	if h == nil {
		return nil
	}
	state := r.hookState(rec, specs.StateCreating)
	for _, kind := range []struct {
		name  string
		hooks []specs.Hook
	}{
		{"prestart", h.Prestart}, //nolint:staticcheck // deprecated, and part of the contract
		{"createRuntime", h.CreateRuntime},
		{"createContainer", h.CreateContainer},
	} {
		if err := bundle.RunHooks(ctx, kind.name, kind.hooks, state); err != nil {
			return err
		}
	}
	return nil
}

// ociShim is a shim this process has started.
type ociShim struct {
	pid int
	cmd *exec.Cmd
}

// kill ends a shim that is not wanted any more, and collects it.
func (s *ociShim) kill() {
	if s == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// shimReady is what a shim says once it stands for what was asked, or cannot.
type shimReady struct {
	Error string `json:"error,omitempty"`
	Code  int    `json:"code,omitempty"` // exit code for Error; 0 is none in particular
}

// maxShimWord bounds it, in bytes.
const maxShimWord = 256 << 10

// startShim starts this program as a shim with this process's standard streams, in
// a mount namespace of its own and, when netns names one, in that network
// namespace, and waits until it is ready. input, if any, becomes descriptor 4.
func (r *OCIRuntime) startShim(ctx context.Context, netns string, input []byte, args ...string) (*ociShim, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find vpod's own executable: %w", err)
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	cmd := exec.Command(exe, append([]string{"oci", "--root", r.root}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	if input != nil {
		in, out, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer in.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, in)
		go func() {
			_, _ = out.Write(input) // the shim says so when it got too little
			out.Close()
		}()
	}
	// What the caller left open is not the container's.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("start the container's process: %w", err)
	}
	if err := startIn(cmd, netns); err != nil {
		return nil, err
	}
	s := &ociShim{pid: cmd.Process.Pid, cmd: cmd}
	theirs.Close()
	stop := context.AfterFunc(ctx, func() { ours.Close() })
	defer stop()
	word, err := io.ReadAll(io.LimitReader(ours, maxShimWord))
	var ready shimReady
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
	case len(bytes.TrimSpace(word)) == 0:
		err = errors.New("the container's process ended without a word")
	default:
		if err = json.Unmarshal(word, &ready); err == nil && ready.Error != "" {
			err = errors.New(ready.Error)
			if ready.Code != 0 {
				err = &ExitError{Code: ready.Code, Err: err}
			}
		}
	}
	if err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

// startIn starts cmd in a new mount namespace and in a network namespace. Both are
// those of the thread that forks, which is thrown away.
func startIn(cmd *exec.Cmd, netns string) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		failed <- func() error {
			if netns != "" {
				f, err := os.Open(netns)
				if err != nil {
					return fmt.Errorf("network namespace: %w", err)
				}
				defer f.Close()
				if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
					return fmt.Errorf("join network namespace %s: %w", netns, err)
				}
			}
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("make a mount namespace: %w", err)
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				return fmt.Errorf("start the container's process: %w", err)
			}
			return nil
		}()
	}()
	return <-failed
}

// writePIDFile writes a pid where the caller wants it, in one step.
func writePIDFile(name string, pid int) error {
	if name == "" {
		return nil
	}
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, []byte(strconv.Itoa(pid)), 0o666); err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	return nil
}

// ociOwner names who made a container.
func ociOwner(dir ociDir) string {
	info, err := os.Stat(string(dir))
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid := strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "#" + uid
}
