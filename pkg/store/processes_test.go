package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"vpod/pkg/container"
)

// workEnv makes the test binary do work on the database it names, in place of tests.
const workEnv = "VPOD_STORE_TEST_WORK"

func TestMain(m *testing.M) {
	if path := os.Getenv(workEnv); path != "" {
		if err := work(context.Background(), path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work does what create, start, ps and rm do, each with a fresh handle as each
// would be a process, and counts itself in the shared container's record.
func work(ctx context.Context, path string) error {
	name := "worker-" + strconv.Itoa(os.Getpid())
	spec := newSpec(newID(), name)
	with := func(do func(*Store) error) error {
		s, err := Open(ctx, path)
		if err != nil {
			return err
		}
		return errors.Join(do(s), s.Close())
	}
	steps := []func(*Store) error{
		func(s *Store) error { return s.Insert(ctx, spec, container.Record{State: container.Created}) },
		func(s *Store) error {
			err := s.Insert(ctx, newSpec(newID(), name), container.Record{State: container.Created})
			if !errors.Is(err, ErrNameInUse) {
				return fmt.Errorf("second container of one name: %w", err)
			}
			return nil
		},
		func(s *Store) error {
			list, err := s.List(ctx)
			if err == nil && len(list) < 1 {
				err = errors.New("empty list")
			}
			return err
		},
		func(s *Store) error {
			c, err := s.Get(ctx, "shared")
			if err != nil {
				return err
			}
			return s.Update(ctx, c.Spec.ID, func(r *container.Record) error { r.RestartCount++; return nil })
		},
		func(s *Store) error {
			return s.Update(ctx, spec.ID, func(r *container.Record) error { r.State = container.Removing; return nil })
		},
		func(s *Store) error { return s.Delete(ctx, spec.ID) },
	}
	for i, step := range steps {
		if err := with(step); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// startWorkers runs n processes of work at once and reports what they say.
func startWorkers(t *testing.T, path string, n int, attr func(i int) *syscall.SysProcAttr) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$")
		cmd.Env = append(os.Environ(), workEnv+"="+path)
		cmd.SysProcAttr = attr(i)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Errorf("start worker %d: %v", i, err)
			continue
		}
		wg.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("worker %d: %v: %s", i, err, out.Bytes())
			}
		})
	}
	wg.Wait()
}

// TestManyProcesses has 50 processes create, list, update and remove at once.
func TestManyProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpod.db")
	const n = 50
	s := openAt(t, path)
	shared := insert(t, s, newID(), "shared")
	startWorkers(t, path, n, func(int) *syscall.SysProcAttr { return nil })
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Spec.ID != shared.ID || list[0].Record.RestartCount != n {
		t.Errorf("afterwards: %d containers, %v: %+v; want the shared one counted %d times", len(list), err, list, n)
	}
	var check string
	if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity check: %s, %v", check, err)
	}
}

// TestManyOpenNew opens one new database from many handles at once.
func TestManyOpenNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpod.db")
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			s, err := Open(t.Context(), path)
			if err != nil {
				t.Errorf("Open %d: %v", i, err)
				return
			}
			err = s.Insert(t.Context(), newSpec(newID(), fmt.Sprint("c", i)), container.Record{State: container.Created})
			if err := errors.Join(err, s.Close()); err != nil {
				t.Errorf("insert %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if list, err := openAt(t, path).List(t.Context()); err != nil || len(list) != 30 {
		t.Errorf("List = %d, %v; want 30", len(list), err)
	}
}

// TestInAndOutOfUserNamespace has every other process work from a user namespace
// of its own.
func TestInAndOutOfUserNamespace(t *testing.T) {
	inside := func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	probe := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$")
	probe.SysProcAttr = inside()
	if err := probe.Run(); err != nil {
		t.Skipf("user namespaces are not available: %v", err)
	}
	path := filepath.Join(t.TempDir(), "vpod.db")
	s := openAt(t, path)
	insert(t, s, newID(), "shared")
	startWorkers(t, path, 10, func(i int) *syscall.SysProcAttr {
		if i%2 == 0 {
			return nil
		}
		return inside()
	})
	if c, err := s.Get(t.Context(), "shared"); err != nil || c.Record.RestartCount != 10 {
		t.Errorf("shared container = %+v, %v; want it counted 10 times", c.Record, err)
	}
}
