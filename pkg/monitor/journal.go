package monitor

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
)

// journalMax bounds monitor.log, in bytes.
const journalMax = 256 << 10

// openJournal opens the monitor's own log. It never holds an environment, a
// command line of the container, or what passes through its streams.
func openJournal(path string) (*slog.Logger, *tailFile, error) {
	f, err := openTailFile(path, journalMax)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(f, nil)), f, nil
}

// recordCrash has the Go runtime write to the end of the file at path what it says
// when this process breaks: of a panic, of QUIT, or of an error of its own. On
// standard error, which is /dev/null, nobody would see it.
func recordCrash(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("record crashes: %w", err)
	}
	defer f.Close()
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil { // duplicates f
		return fmt.Errorf("record crashes in %s: %w", path, err)
	}
	return nil
}
