package monitor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// reporter is the monitor's end of the report channel. Only the first run of a
// container is reported on.
type reporter struct {
	conn net.Conn
	once sync.Once
}

// newReporter takes ownership of the descriptor the monitor was started with.
func newReporter(f *os.File) (*reporter, error) {
	conn, err := net.FileConn(f) // a duplicate, which can be interrupted
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("open report channel: %w", err)
	}
	return &reporter{conn: conn}, nil
}

// errStarterGone reports that the command that started the monitor went away
// before it said that the container may run.
var errStarterGone = errors.New("the command that started it went away before it ran")

// send writes one report. Its error means that nobody has read it.
func (r *reporter) send(rep Report) error {
	line, err := json.Marshal(rep)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	r.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("report %s: %w", rep.Event, err)
	}
	return nil
}

// notice tells the user something; nobody may be there to read it. A machine that is
// lent has no reporter.
func (r *reporter) notice(text string) {
	if r == nil {
		return
	}
	_ = r.send(Report{Event: ReportNotice, Error: text})
}

// awaitGo waits for GoLine.
func (r *reporter) awaitGo() error {
	line, err := bufio.NewReaderSize(r.conn, 64).ReadSlice('\n')
	if err != nil || string(line) != GoLine {
		return errStarterGone
	}
	return nil
}

// close hangs up, and ends awaitGo.
func (r *reporter) close() { r.once.Do(func() { r.conn.Close() }) }
