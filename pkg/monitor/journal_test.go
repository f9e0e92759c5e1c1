package monitor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// crashEnv names the file of a test process that is to break, and how.
const crashEnv = "VPOD_TEST_CRASH"

func TestRecordCrash(t *testing.T) {
	if path, how, ok := strings.Cut(os.Getenv(crashEnv), "="); ok {
		if err := recordCrash(path); err != nil {
			t.Fatal(err)
		}
		if how == "quit" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT)
			select {}
		}
		broken := make(chan int)
		go func() { panic("the monitor is broken") }()
		<-broken
	}
	for how, want := range map[string]string{"panic": "the monitor is broken", "quit": "SIGQUIT"} {
		path := filepath.Join(t.TempDir(), "monitor.log")
		if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		child := exec.Command(os.Args[0], "-test.run=^TestRecordCrash$")
		child.Env = append(os.Environ(), crashEnv+"="+path+"="+how)
		if err := child.Run(); err == nil {
			t.Fatalf("%s: the process did not break", how)
		}
		log, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(log); !strings.HasPrefix(got, "before\n") || !strings.Contains(got, want) || !strings.Contains(got, "goroutine ") {
			t.Errorf("%s: the log says %q, want %q and where", how, got, want)
		}
	}
}
