package template

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// workEnv makes the test binary make a template in the store it names, in place of
// running tests; dieEnv makes it kill itself half way.
const (
	workEnv = "VPOD_TEMPLATE_TEST_WORK"
	dieEnv  = "VPOD_TEMPLATE_TEST_DIE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(workEnv); dir != "" {
		if err := work(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work gets the template as a start does: found, or made once. It prints which.
func work(dir string) error {
	s, log := newStore(dir, testBoot)
	_, err := s.Find(testKey)
	if errors.Is(err, ErrNone) {
		var lock *os.File
		if lock, err = s.Lock(context.Background(), testKey, func() {}); err != nil {
			return err
		}
		defer lock.Close()
		if _, err = s.Find(testKey); errors.Is(err, ErrNone) {
			err = workOnDraft(s)
		}
	}
	if err != nil {
		return fmt.Errorf("%w %s", err, log)
	}
	fmt.Println("has it")
	return nil
}

func workOnDraft(s *Store) error {
	d, err := s.New(testKey)
	if err != nil {
		return err
	}
	defer d.Discard()
	ram, err := NewRAM()
	if err != nil {
		return err
	}
	defer ram.Close()
	if _, err := ram.Write(bytes.Repeat([]byte("memory"), 1<<20)); err != nil {
		return err
	}
	if err := os.WriteFile(d.RAM, []byte("half of it"), 0o600); err != nil {
		return err
	}
	if os.Getenv(dieEnv) != "" {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		return errors.Join(self.Kill(), errors.New("outlived SIGKILL"))
	}
	time.Sleep(100 * time.Millisecond) // so that others come in between
	if err := os.WriteFile(d.State, []byte("state"), 0o600); err != nil {
		return err
	}
	if err := os.Remove(d.RAM); err != nil {
		return err
	}
	if _, err := d.Publish(Info{Made: time.Now()}, ram); err != nil {
		return err
	}
	fmt.Println("made it")
	return nil
}

// worker is such a process.
func worker(t *testing.T, dir string, env ...string) (out string, err error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), workEnv+"="+dir), env...)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func TestProcessesMakeItOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "templates")
	const processes = 6
	outs := make([]string, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			out, err := worker(t, dir)
			if err != nil || !strings.Contains(out, "has it") {
				t.Errorf("%v: %s", err, out)
			}
			outs[i] = out
		})
	}
	wg.Wait()
	if n := strings.Count(strings.Join(outs, ""), "made it"); n != 1 {
		t.Errorf("it was made %d times, want once", n)
	}
}

func TestProcessKilledWhileItMakesOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "templates")
	if out, err := worker(t, dir, dieEnv+"=yes"); err == nil || out != "" {
		t.Fatalf("the worker lives: %s", out)
	}
	s, _ := newStore(dir, testBoot)
	if len(names(t, s)) != 2 { // lock and draft
		t.Errorf("it leaves %q", names(t, s))
	}
	if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
		t.Errorf("half a template is found: %v", err)
	}
	if out, err := worker(t, dir); err != nil || !strings.Contains(out, "made it") {
		t.Errorf("the next process: %v: %s", err, out)
	}
	if got := names(t, s); len(got) != 2 { // lock and template
		t.Errorf("then there are %q", got)
	}
}
