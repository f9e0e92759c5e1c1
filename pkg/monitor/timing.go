package monitor

import (
	"time"

	"vpod/pkg/agentclient"
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

// markBoot notes that the session with the agent has begun, nil if it has not, and
// what the agent says of a boot that began after the moment given. A machine from a
// template was booted for another start.
func (s *supervisor) markBoot(session *agentclient.Session, began time.Time) {
	if s.record == nil {
		return
	}
	if session != nil && s.launch.Template == nil {
		now := timing.Now()
		s.record.Add(lapMarks("begin to boot", session.Hello().Boot, now-int64(time.Since(began)), now)...)
	}
	s.record.Mark("begin the session with the agent")
}

// askedMarks places what the agent says of its own time between the moments at
// which it was asked and had answered: that the way there took as long as the way
// back is an assumption.
func askedMarks(laps []agentproto.Lap, asked, answered int64) []timing.Mark {
	slack := answered - asked
	for _, lap := range laps {
		slack -= lap.Nanos
	}
	if slack < 0 {
		return nil
	}
	return lapMarks("get the request", laps, asked, answered-slack/2)
}

// lapMarks makes marks of what the agent says of its own time, by another clock: the
// last lap ended at the moment given, and before the first it did what is named first.
// What would have begun before the guest could have is not believed.
func lapMarks(before string, laps []agentproto.Lap, notBefore, end int64) []timing.Mark {
	begin := end
	for _, lap := range laps {
		if lap.Nanos < 0 || lap.Nanos > begin-notBefore {
			return nil
		}
		begin -= lap.Nanos
	}
	if len(laps) == 0 {
		return nil
	}
	at := begin
	marks := []timing.Mark{{By: timing.Guest, What: before, AtNanos: at}}
	for _, lap := range laps {
		at += lap.Nanos
		marks = append(marks, timing.Mark{By: timing.Guest, What: lap.What, AtNanos: at})
	}
	return marks
}
