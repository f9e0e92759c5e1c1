package cli

import (
	"log/slog"

	"github.com/sirupsen/logrus"
)

// logLevel is a value of --log-level; the words are Podman's.
type logLevel string

var logLevels = []string{"trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"}

// slog is the level for vpod's own messages.
func (l logLevel) slog() slog.Level {
	switch l {
	case "trace", "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	case "error", "fatal", "panic":
		return slog.LevelError
	}
	return slog.LevelWarn
}

// logrus is the level for messages of the image and storage libraries.
func (l logLevel) logrus() logrus.Level {
	level, err := logrus.ParseLevel(string(l))
	if err != nil {
		return logrus.WarnLevel
	}
	return level
}
