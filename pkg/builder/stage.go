package builder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/containers/buildah/define"

	"vpod/pkg/unixsock"
)

// One machine serves the steps of a stage: a keeper, `vpod oci keep`, holds it, and
// the runtime runs each step in it. The steps of a stage build upon each other anyway;
// another stage gets another machine, for a step may do with its machine what it likes.
//
// The library does not say where a stage begins but by what it prints.

// keeperDir leads to the directory of the keeper of the stage under way.
func (b *job) keeperDir() string { return filepath.Join(b.dir, "keeper") }

// shareMachines has the steps of a stage run in one machine, where stages come one
// after another and it can be told where each begins.
func (b *job) shareMachines(o *define.BuildOptions, files []string) error {
	if o.Jobs != nil && *o.Jobs != 1 {
		return nil
	}
	switch {
	case !o.Quiet:
		if o.Out == nil {
			o.Out = os.Stdout
		}
		o.Out = &stageWatch{to: o.Out, begun: b.beginStage}
	case oneStage(files) && len(o.Platforms) < 2:
		b.beginStage()
	default:
		return nil
	}
	o.RuntimeArgs = append(o.RuntimeArgs, "--keeper", b.keeperDir())
	return nil
}

// fromLine begins a stage, or looks as if it did (a here-document may hold one).
var fromLine = regexp.MustCompile(`(?im)^[\s\x{feff}]*FROM\b`)

// oneStage reports whether Containerfiles surely have one stage.
func oneStage(files []string) bool {
	stages := 0
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(name, ".in") {
			return false // fetched, read once, or made by a preprocessor
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return false
		}
		stages += len(fromLine.FindAllIndex(b, 2))
	}
	return stages == 1
}

// stageWatch is where a build's progress is printed. It notices the beginning of a
// stage: the library writes each line of its own at once. What a step prints can look
// the same, which costs the stage another machine and does no harm.
type stageWatch struct {
	to    io.Writer
	begun func()
}

// stageLine is a stage's first line (imagebuildah, executor.go, "STEP").
var stageLine = regexp.MustCompile(`(^|\s)STEP 1(/\d+)?: FROM `)

// Write implements io.Writer.
func (w *stageWatch) Write(p []byte) (int, error) {
	if stageLine.Match(p) {
		w.begun()
	}
	return w.to.Write(p)
}

// keepers are the keepers of a build, one for each stage so far.
type keepers struct {
	mu      sync.Mutex
	started int
	last    *exec.Cmd
	waiting sync.WaitGroup
}

// maxKeepers bounds the keepers of a build. What a step prints can look like the
// beginnings of stages without end, and each would cost a process.
const maxKeepers = 100

// beginStage lets the keeper of the stage before end, once no step is in its machine
// any more, and starts one for the next. Where that fails, or there were too many,
// steps get machines of their own.
func (b *job) beginStage() {
	k := &b.keepers
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil {
		_ = k.last.Process.Signal(syscall.SIGTERM) // it has ended else
		k.last = nil
	}
	if k.started == maxKeepers {
		_ = os.Remove(b.keeperDir()) // it may be gone already
		return
	}
	k.started++
	cmd, err := b.startKeeper(k.started)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Warning: each step gets a machine of its own:", err)
		return
	}
	k.last = cmd
	k.waiting.Go(func() { _ = cmd.Wait() })
}

// startKeeper starts a keeper in a mount namespace of its own, and makes keeperDir
// lead to it.
func (b *job) startKeeper(number int) (*exec.Cmd, error) {
	dir := fmt.Sprintf("%s.%d", b.keeperDir(), number)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	l, err := unixsock.Listen(filepath.Join(dir, "keeper.sock"))
	if err != nil {
		return nil, err
	}
	defer l.Close()
	socket, err := l.File()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	log, err := os.Create(filepath.Join(dir, "keeper.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(b.place.Vpod, "oci", "--root", b.runtimeRoot(), "--leash", fmt.Sprint(os.Getpid()), "keep", dir)
	cmd.Stderr, cmd.ExtraFiles = log, []*os.File{socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd, err)
	}
	next := b.keeperDir() + ".next"
	if err := errors.Join(os.Symlink(filepath.Base(dir), next), os.Rename(next, b.keeperDir())); err != nil {
		_ = cmd.Process.Kill()
		return nil, errors.Join(err, cmd.Wait())
	}
	return cmd, nil
}

// endKeepers ends what is left of them, and with them their machines.
func (b *job) endKeepers() {
	k := &b.keepers
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil {
		_ = k.last.Process.Kill() // it has ended else
	}
	k.waiting.Wait()
}
