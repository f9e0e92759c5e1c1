package image

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// testChild is what this test binary does when a test starts it as a child.
func testChild(what string) int {
	f := strings.Fields(what)
	switch f[0] {
	case "mount":
		return mountAndDie(f[1], f[2], f[3])
	case "lock":
		return lockUntilEOF(f[1])
	case "enter":
		return enterAndTell(f[1:])
	}
	fmt.Fprintln(os.Stderr, "no such child:", what)
	return 1
}

// enterAndTell enters a user namespace and prints what it is like there. Words
// after that are what to do: "join PID", "wait", "pull DIR LAYOUT".
func enterAndTell(do []string) int {
	fmt.Println("pid", os.Getpid())
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	var opts EnterOptions
	if len(do) > 1 && do[0] == "join" {
		opts.JoinPID, _ = strconv.Atoi(do[1])
		do = do[2:]
	}
	if err := EnterUserNamespace(opts, log); err != nil {
		fmt.Println("error", err)
		return 9
	}
	cwd, _ := os.Getwd()
	uidMap, _ := os.ReadFile("/proc/self/uid_map")
	userNS, _ := os.Readlink("/proc/self/ns/user")
	mntNS, _ := os.Readlink("/proc/self/ns/mnt")
	fmt.Println("inside", InUserNamespace(), "euid", os.Geteuid(), "egid", os.Getegid())
	fmt.Println("map", strings.Join(strings.Fields(string(uidMap)), " "))
	fmt.Println("ns", userNS, mntNS)
	fmt.Println("cwd", cwd)
	fmt.Println("args", strings.Join(os.Args[1:], " "))
	groups, _ := os.Getgroups()
	fmt.Println("groups", len(groups))
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, envOrder) {
			fmt.Println("left", v)
		}
	}
	if len(do) == 0 {
		return 0
	}
	switch do[0] {
	case "wait":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM, syscall.SIGWINCH)
		fmt.Println("waiting")
		fmt.Println("got", <-c)
		return 42
	case "pull":
		return pullAndTell(do[1], do[2])
	}
	return 1
}

// pullAndTell pulls from a layout into a store and says who owns the files.
func pullAndTell(dir, layout string) int {
	s := Open(Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "overlay",
		SignaturePolicy: filepath.Join(dir, "policy.json")}, slog.New(slog.DiscardHandler))
	images, err := s.Pull(context.Background(), "oci:"+layout, PullOptions{})
	if err != nil {
		fmt.Println("error", err)
		return 8
	}
	path, unmount, err := s.Mount(context.Background(), images[0].ID)
	if err != nil {
		fmt.Println("error", err)
		return 7
	}
	defer unmount()
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(path, "home/user"), &st); err != nil {
		fmt.Println("error", err)
		return 6
	}
	// Kept with the namespace's root in it, shown without: what a disk made from
	// here must say.
	caps := make([]byte, 64)
	n, err := unix.Getxattr(filepath.Join(path, "bin/ping"), "security.capability", caps)
	fmt.Println("owner", st.Uid, "capability", err == nil && string(caps[:n]) == netRawCapability)
	return 0
}

// ordinaryUser prepares to start this test binary as the user nobody, who has the
// given lines in /etc/subuid and /etc/subgid, seen by that process alone.
type ordinaryUser struct {
	dir string // nobody's
	bin string
	sub string // file with the lines
}

func newOrdinaryUser(t *testing.T, lines string) *ordinaryUser {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	for _, tool := range []string{"unshare", "setpriv", "newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	// Not t.TempDir: nobody may not look into its parent everywhere.
	dir, err := os.MkdirTemp("/var/tmp", "vpod-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := &ordinaryUser{dir: dir, bin: filepath.Join(dir, "vpod.test"), sub: filepath.Join(dir, "sub")}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, "/proc/self/exe", u.bin, 0o755)
	if err := os.WriteFile(u.sub, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return u
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

// command starts this test binary as the user.
func (u *ordinaryUser) command(what string, env ...string) *exec.Cmd {
	script := `mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && exec "$@"`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", u.sub,
		"setpriv", "--reuid", "65534", "--regid", "65534", "--groups", "65534,7", "--", u.bin, "one", "two words")
	cmd.Dir = u.dir
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=" + u.dir, "XDG_RUNTIME_DIR=" + u.dir, "VPOD_TEST_CHILD=" + what, "GORACE=atexit_sleep_ms=0"}, env...)
	return cmd
}

// run runs it to its end and returns its lines by their first word; of several
// with the same one, the last.
func (u *ordinaryUser) run(t *testing.T, what string, env ...string) (lines map[string]string, all string, code int) {
	t.Helper()
	cmd := u.command(what, env...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "unshare: ") || strings.Contains(string(out), "mount: ") {
		t.Skipf("cannot give a process an /etc/subuid of its own: %s", out)
	}
	return byFirstWord(string(out)), string(out), cmd.ProcessState.ExitCode()
}

func byFirstWord(text string) map[string]string {
	lines := make(map[string]string)
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines[word] = rest
	}
	return lines
}

func TestEnterUserNamespace(t *testing.T) {
	u := newOrdinaryUser(t, "nobody:100000:65536\n")
	got, all, code := u.run(t, "enter")
	want := map[string]string{
		"inside": "true euid 0 egid 0",
		"map":    "0 65534 1 1 100000 65536",
		"cwd":    u.dir,
		"args":   "one two words",
		"groups": "2", // kept
		"left":   "",
	}
	for word, text := range want {
		if got[word] != text {
			t.Errorf("%s %q, want %q", word, got[word], text)
		}
	}
	var pids []string
	for line := range strings.Lines(all) {
		if pid, ok := strings.CutPrefix(line, "pid "); ok {
			pids = append(pids, pid)
		}
	}
	if code != 0 || len(pids) != 2 || pids[0] != pids[1] {
		t.Errorf("exit status %d, process ids %q: want one and the same twice", code, pids)
	}
	if strings.Contains(all, "level=WARN") {
		t.Errorf("warned:\n%s", all)
	}
}

func TestEnterWithoutSubids(t *testing.T) {
	tests := []struct {
		name string
		subs string
		env  string
		want string // in the warning
	}{
		{name: "no ranges", subs: "", want: "usermod --add-subuids"},
		{name: "other user's", subs: "root:100000:65536\n", want: "/etc/subuid"},
		{name: "no newuidmap", subs: "nobody:100000:65536\n", env: "PATH=/nonexistent", want: "uidmap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newOrdinaryUser(t, tt.subs)
			got, all, code := u.run(t, "enter", "X=y")
			if tt.env != "" {
				cmd := u.command("enter")
				script := slices.Index(cmd.Args, "--")
				cmd.Args = slices.Insert(cmd.Args, script+1, "env", tt.env)
				out, _ := cmd.CombinedOutput()
				got, all, code = byFirstWord(string(out)), string(out), cmd.ProcessState.ExitCode()
			}
			if code != 0 || got["inside"] != "true euid 0 egid 0" || got["map"] != "0 65534 1" {
				t.Errorf("exit status %d, output\n%s", code, all)
			}
			if !strings.Contains(all, "level=WARN") || !strings.Contains(all, tt.want) {
				t.Errorf("no warning that says %q:\n%s", tt.want, all)
			}
		})
	}
}

// Signals reach the process the user sees, and its exit status is theirs.
func TestEnterSignals(t *testing.T) {
	u := newOrdinaryUser(t, "nobody:100000:65536\n")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGWINCH, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := u.command("enter wait")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "waiting" {
			}
			cmd.Process.Signal(sig)
			rest, _ := io.ReadAll(out) // ends when nobody is left who could write
			err = cmd.Wait()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if sig == syscall.SIGKILL {
				if !status.Signaled() || status.Signal() != sig {
					t.Errorf("ended with %v", err)
				}
				return
			}
			if status.ExitStatus() != 42 {
				t.Errorf("exit status %d (%v), output %q; want 42", status.ExitStatus(), err, rest)
			}
		})
	}
}

func TestEnterJoins(t *testing.T) {
	u := newOrdinaryUser(t, "nobody:100000:65536\n")
	holder := u.command("enter wait")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { holder.Process.Kill(); holder.Wait() }()
	var text strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "waiting" {
		text.WriteString(lines.Text() + "\n")
	}
	held := byFirstWord(text.String())
	pid := held["pid"]
	got, all, code := u.run(t, "enter join "+pid)
	if code != 0 || got["ns"] != held["ns"] || held["ns"] == "" || got["cwd"] != u.dir || got["inside"] != "true euid 0 egid 0" {
		t.Errorf("exit status %d, namespaces %q, want %q; output\n%s", code, got["ns"], held["ns"], all)
	}
	holder.Process.Kill()
	holder.Wait()
	got, all, code = u.run(t, "enter join "+pid)
	if code != 0 || got["map"] != "0 65534 1 1 100000 65536" || got["inside"] != "true euid 0 egid 0" {
		t.Errorf("after the holder's end: exit status %d, output\n%s", code, all)
	}
}

// Files of other users need subordinate ids; without, the error says how to get
// them.
func TestPullRootless(t *testing.T) {
	layout := writeLayout(t, demoImage("localhost/demo:1"))
	tests := []struct {
		name, subs string
		code       int
		want       string
	}{
		{name: "with subordinate ids", subs: "nobody:100000:65536\n", want: "owner 1000 capability true"},
		{name: "without", code: 8, want: "usermod --add-subuids"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newOrdinaryUser(t, tt.subs)
			mine := filepath.Join(u.dir, "layout")
			if out, err := exec.Command("cp", "-r", layout, mine).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v: %s", err, out)
			}
			if err := os.WriteFile(filepath.Join(u.dir, "policy.json"), []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, all, code := u.run(t, "enter pull "+u.dir+" "+mine)
			t.Logf("took %v", time.Since(start))
			if code != tt.code || !strings.Contains(all, tt.want) {
				t.Errorf("exit status %d, want %d; output lacks %q:\n%s", code, tt.code, tt.want, all)
			}
		})
	}
}

func TestOpenRefusedOutsideNamespace(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may open it")
	}
	s := Open(Options{Root: t.TempDir(), RunRoot: t.TempDir()}, slog.New(slog.DiscardHandler))
	if _, err := s.Lookup(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "user namespace") {
		t.Errorf("Lookup: %v", err)
	}
	if entries, _ := os.ReadDir(s.opts.Root); len(entries) != 0 {
		t.Errorf("it was touched: %v", entries)
	}
}

func TestConsecutive(t *testing.T) {
	m := consecutive(1000, []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}, {HostID: 300000, Size: 10}})
	if got, want := mapText(m), "0 1000 1\n1 100000 65536\n65537 300000 10\n"; got != want {
		t.Errorf("map %q, want %q", got, want)
	}
}
