package image

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/sirupsen/logrus"
)

// RouteLogs sends what the libraries log, from warnings on, to log instead of
// standard error. It concerns the whole process; main calls it once it has a
// logger, after Init.
func RouteLogs(log *slog.Logger) {
	logrus.SetOutput(io.Discard)
	level := logrus.WarnLevel
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = logrus.DebugLevel
	}
	logrus.SetLevel(level)
	hooks := make(logrus.LevelHooks)
	hooks.Add(logHook{log})
	logrus.StandardLogger().ReplaceHooks(hooks)
}

// logHook passes logrus entries on.
type logHook struct{ log *slog.Logger }

func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h logHook) Fire(e *logrus.Entry) error {
	level := slog.LevelDebug
	switch {
	case e.Level <= logrus.ErrorLevel:
		level = slog.LevelError
	case e.Level == logrus.WarnLevel:
		level = slog.LevelWarn
	case e.Level == logrus.InfoLevel:
		level = slog.LevelInfo
	}
	args := make([]any, 0, 2*len(e.Data))
	for _, k := range slices.Sorted(maps.Keys(e.Data)) {
		args = append(args, k, e.Data[k])
	}
	h.log.Log(context.Background(), level, e.Message, args...)
	return nil
}
