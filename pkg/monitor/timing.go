package monitor

import (
	"vpod/pkg/agentproto"
	"vpod/pkg/timing"
)

// recorded takes what has been recorded until now, for a report.
func (s *supervisor) recorded(r *run) *timing.Record {
	if s.record == nil {
		return nil
	}
	s.record.Use(timing.OwnUsage(timing.Monitor))
	s.record.Use(r.machine.Usage()...)
	return s.record.Take()
}

// guestMarks places what the agent says of its own time between the moments at
// which it was asked and had answered. Its clock is another: that the way there
// took as long as the way back is an assumption. What does not fit in between is
// not believed.
func guestMarks(laps []agentproto.Lap, asked, answered int64) []timing.Mark {
	var sum int64
	for _, lap := range laps {
		if lap.Nanos < 0 || lap.Nanos > answered-asked-sum {
			return nil
		}
		sum += lap.Nanos
	}
	if len(laps) == 0 {
		return nil
	}
	at := asked + (answered-asked-sum)/2
	marks := []timing.Mark{{By: timing.Guest, What: "get the request", AtNanos: at}}
	for _, lap := range laps {
		at += lap.Nanos
		marks = append(marks, timing.Mark{By: timing.Guest, What: lap.What, AtNanos: at})
	}
	return marks
}
