package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/timing"
)

// Hidden verbs by which vpod starts itself (pkg/cli, hidden.go).
const (
	monitorVerb = "monitor"
	releaseVerb = "release"
)

// RunMonitor is the body of the hidden verb "monitor": it returns when the
// container has ended for good, or when there is nothing to do after all.
// Descriptor 3 is the report, over which the liveness lock comes first.
func RunMonitor(ctx context.Context, launchPath string, record *timing.Recorder) error {
	lock, err := receiveLock(3)
	if errors.Is(err, io.EOF) {
		return nil // the command needs no monitor, or is gone
	}
	if err != nil {
		return fmt.Errorf("start the monitor: %w", err)
	}
	record.Mark("wait for orders")
	return monitor.Run(ctx, launchPath, os.NewFile(3, "report"), lock, record)
}

// monitorProcess is a monitor this command has just started. It is not a child
// to be waited for: it outlives the command.
type monitorProcess struct {
	pid    int
	report *net.UnixConn
	lines  *bufio.Reader
	ended  chan struct{} // closed when it has ended while this command runs
	log    string        // path of its own log
	notice func(string)  // tells the user something
	timing *timing.Recorder
}

// maxReportLine bounds a line of the report, in bytes: an error text with the
// console's tail.
const maxReportLine = 256 << 10

// spawnMonitor starts the monitor of a container. It waits for handOver; its
// orders need not be written before.
func spawnMonitor(files paths.Container, opts Options) (*monitorProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find vpod's own executable: %w", err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the monitor's report channel: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "report"), os.NewFile(uintptr(fds[1]), "report")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, fmt.Errorf("make the monitor's report channel: %w", err)
	}
	// What this command inherited, say a script's lock or the end of a pipe, must
	// not live on in the monitor. ExtraFiles are duplicated without the flag.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("start the monitor: %w", err)
	}
	cmd := exec.Command(exe, monitorVerb, files.Launch())
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start the monitor: %w", err)
	}
	pid := cmd.Process.Pid
	ended := make(chan struct{})
	// Reaps the monitor should it end before this command does; nobody else waits for it.
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	return &monitorProcess{
		pid:    pid,
		report: conn.(*net.UnixConn),
		lines:  bufio.NewReaderSize(conn, 4096),
		ended:  ended,
		log:    files.MonitorLog(),
		notice: opts.Notice,
		timing: opts.Timing,
	}, nil
}

// Close hangs up; a monitor that was told to go ahead does not mind.
func (m *monitorProcess) Close() error { return m.report.Close() }

// goAhead lets the first process start.
func (m *monitorProcess) goAhead() error {
	_, err := io.WriteString(m.report, monitor.GoLine)
	return err
}

// await reads reports until the wanted event. A failure comes back as an
// *ExitError with the code the command should end with.
func (m *monitorProcess) await(ctx context.Context, event, name string) error {
	stop := context.AfterFunc(ctx, func() { m.report.Close() })
	defer stop()
	for {
		line, err := m.readLine()
		if ctx.Err() != nil {
			return fmt.Errorf("start container %s: %w", name, ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("start container %s: its monitor ended without a word (%w); its log is %s", name, err, m.log)
		}
		var r monitor.Report
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("start container %s: monitor's report %q: %w", name, line, err)
		}
		m.timing.Join(r.Timing)
		switch r.Event {
		case event:
			return nil
		case monitor.ReportNotice:
			m.notice(r.Error)
		case monitor.ReportFailed:
			code := r.ExitCode
			if code == 0 {
				code = ExitOwnFailure
			}
			return &ExitError{Code: code, Err: errors.New(r.Error)}
		}
	}
}

// readLine reads one bounded line.
func (m *monitorProcess) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := m.lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxReportLine:
			return nil, errors.New("report line too long")
		}
	}
}
