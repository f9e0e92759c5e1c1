package monitor

import (
	"log/slog"
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
