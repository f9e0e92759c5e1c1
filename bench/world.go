package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// world is what the measurements share: a directory that holds everything, the
// programs, and the processes that were started. close removes all of it.
type world struct {
	dir      string // temporary, short: socket names have 107 bytes
	build    string // where vpod, its guest files and the probe were built
	quick    bool
	progress io.Writer
	env      []string // of all commands
	userEnv  []string // the environment we were called with
	null     *os.File
	reaper   *reaper
	vpod     *program
	podman   *program // nil where it does not work
	noPodman string   // why
	images   map[string]string
	registry *registry
	standing []task // descendants that are meant to stay

	mu       sync.Mutex
	warnings []string // see heard
}

// newWorld prepares both programs' directories. It starts nothing.
func newWorld(build string, quick bool, progress io.Writer) (*world, error) {
	r, err := newReaper()
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "vpb-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, build: build, quick: quick, progress: progress, null: null, reaper: r,
		userEnv: os.Environ(), images: map[string]string{}}
	for _, name := range []string{"tmp", "cache", "conf", "net"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	conf := map[string]string{
		"storage.conf":    fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = \"%s/v\"\nrunroot = \"%s/vr\"\n", dir, dir),
		"registries.conf": "unqualified-search-registries = []\n",
	}
	for name, text := range conf {
		if err := os.WriteFile(w.path("conf", name), []byte(text), 0o600); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	w.env = append(os.Environ(),
		"TMPDIR="+w.path("tmp"),
		"XDG_CACHE_HOME="+w.path("cache"), // what vpod knows of this machine
		"CONTAINERS_STORAGE_CONF="+w.path("conf", "storage.conf"),
		"CONTAINERS_REGISTRIES_CONF="+w.path("conf", "registries.conf"))
	w.vpod = &program{name: ours, loaded: map[string]bool{},
		argv: []string{filepath.Join(build, "vpod"), "--root", w.path("v"), "--runroot", w.path("vr")}}
	return w, nil
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(w.progress, format+"\n", args...)
}

// rounds is how often something is measured.
func (w *world) rounds(full, quick int) int {
	if w.quick {
		return quick
	}
	return full
}

// programs are those that take part.
func (w *world) programs() []*program {
	if w.podman == nil {
		return []*program{w.vpod}
	}
	return []*program{w.vpod, w.podman}
}

// findPodman tries whether podman can run a container here, and with its default
// network.
func (w *world) findPodman(ctx context.Context) error {
	if _, err := exec.LookPath("podman"); err != nil {
		w.noPodman = "podman is not installed"
		return nil
	}
	p := &program{name: theirs, loaded: map[string]bool{},
		argv: []string{"podman", "--root", w.path("p"), "--runroot", w.path("pr"), "--tmpdir", w.path("pt"),
			"--network-config-dir", w.path("net"), "--storage-driver", "overlay",
			"--cgroup-manager", "cgroupfs", "--events-backend", "none"},
		// The limits of a machine without CAP_SYS_RESOURCE, which podman would raise.
		creating: []string{"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=2000:2000"}}
	image, err := w.image(ctx, p, busyboxImage)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		_, err = w.runSettled(ctx, p.container("run", "--rm", "--network", "none", image, "true")...)
	}
	if err != nil {
		w.noPodman = "podman does not work here: " + err.Error()
		_ = p.removeAll(context.WithoutCancel(ctx), w) // what there may be of it
		return ctx.Err()
	}
	w.podman = p
	if err := w.stand(); err != nil { // an ordinary user's podman keeps its namespace
		return err
	}
	if _, err := w.runSettled(ctx, p.container("run", "--rm", image, "true")...); err != nil {
		p.network = err.Error()
		return errors.Join(ctx.Err(), p.removeAll(context.WithoutCancel(ctx), w))
	}
	return nil
}

// stand says that the processes that run now are meant to stay.
func (w *world) stand() error {
	now, err := descendants(os.Getpid())
	w.standing = now
	return err
}

// close removes all containers, ends every process that came from here, unmounts
// what is below the directory, and removes it.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var errs []error
	for _, p := range w.programs() {
		if len(p.loaded) > 0 {
			errs = append(errs, p.forceRemove(ctx, w))
		}
	}
	w.stopRegistry()
	errs = append(errs, endDescendants(ctx), unmountBelow(w.dir), w.removeDir(ctx))
	w.null.Close()
	return errors.Join(errs...)
}

// removeDir removes the directory. An ordinary user's layers belong to other ids,
// which only a user namespace can remove.
func (w *world) removeDir(ctx context.Context) error {
	err := os.RemoveAll(w.dir)
	if err == nil || os.Getuid() == 0 {
		return err
	}
	_, err = w.run(ctx, "unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", w.dir)
	return errors.Join(err, os.RemoveAll(w.dir))
}

// endDescendants ends what is left of the processes started from here.
func endDescendants(ctx context.Context) error {
	for _, step := range []struct {
		signal unix.Signal
		within time.Duration
	}{{unix.SIGTERM, 5 * time.Second}, {unix.SIGKILL, 5 * time.Second}} {
		for deadline := time.Now().Add(step.within); ; {
			left, err := descendants(os.Getpid())
			if err != nil || len(left) == 0 {
				return err
			}
			if time.Now().After(deadline) {
				break
			}
			for _, t := range left {
				unix.Kill(t.pid, step.signal)
			}
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return errors.New("processes are left that do not end")
}

// unmountBelow unmounts everything below dir, the last mount first.
func unmountBelow(dir string) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	var points []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	errs := []error{s.Err()}
	for i := len(points) - 1; i >= 0; i-- {
		errs = append(errs, unix.Unmount(points[i], unix.MNT_DETACH))
	}
	return errors.Join(errs...)
}
