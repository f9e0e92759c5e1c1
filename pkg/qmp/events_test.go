package qmp

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestDecodeEvent(t *testing.T) {
	tests := []struct {
		name, data string
		want       any
	}{
		{"SHUTDOWN", `{"guest": true, "reason": "guest-panic"}`, Shutdown{true, ShutdownGuestPanic}},
		{"RESET", `{"guest": true, "reason": "guest-reset"}`, Reset{true, ShutdownGuestReset}},
		{"STOP", ``, Stop{}},
		{"RESUME", ``, Resume{}},
		{"POWERDOWN", ``, Powerdown{}},
		{"GUEST_PANICKED", `{"action": "poweroff"}`, GuestPanicked{"poweroff"}},
		{"GUEST_CRASHLOADED", `{"action": "run"}`, GuestCrashLoaded{"run"}},
		{"DEVICE_DELETED", `{"device": "disk1", "path": "/machine/peripheral/disk1"}`, DeviceDeleted{"disk1", "/machine/peripheral/disk1"}},
		{"DEVICE_UNPLUG_GUEST_ERROR", `{"path": "/x"}`, DeviceUnplugError{Path: "/x"}},
		{"BLOCK_IO_ERROR", `{"device": "", "node-name": "scratch", "operation": "write", "action": "report", "nospace": true, "reason": "No space left on device"}`,
			BlockIOError{"", "scratch", "write", "report", true, "No space left on device"}},
		{"MIGRATION", `{"status": "completed"}`, MigrationChanged{MigrationCompleted}},
		{"VSERPORT_CHANGE", `{"id": "agent", "open": true}`, PortChanged{"agent", true}},
		{"NIC_RX_FILTER_CHANGED", `{"name": "net0"}`, json.RawMessage(`{"name": "net0"}`)},
		{"SHUTDOWN", `"not an object"`, json.RawMessage(`"not an object"`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev := decodeEvent(&message{Event: tt.name, Data: json.RawMessage(tt.data), Timestamp: timestamp{10, 250_000}})
			if !reflect.DeepEqual(ev.Data, tt.want) {
				t.Errorf("%s %s = %#v, want %#v", tt.name, tt.data, ev.Data, tt.want)
			}
			if want := time.Unix(10, 250e6); !ev.Time.Equal(want) {
				t.Errorf("time %v, want %v", ev.Time, want)
			}
		})
	}
}

func TestEventWithoutClock(t *testing.T) {
	if ev := decodeEvent(&message{Event: "STOP", Timestamp: timestamp{-1, -1}}); !ev.Time.IsZero() {
		t.Errorf("time %v, want none", ev.Time)
	}
}

func TestUndrainedEventsBlockNothing(t *testing.T) {
	m, p := connected(t, Options{EventBuffer: 16})
	w := m.Watch(t.Context())
	if _, err := m.Events(t.Context()); err != nil { // never read at all
		t.Fatal(err)
	}
	const sent = 10_000
	r := async(soon(t), m, "query")
	cmd := p.expect("query")
	for i := range sent {
		p.say(`{"event": "N", "data": %d}`, i)
	}
	p.reply(cmd, `"through"`)
	if r := <-r; r.err != nil || r.value != "through" {
		t.Fatalf("query behind %d events = %q, %v", sent, r.value, r.err)
	}
	// The newest are kept, and the loss is counted.
	if got := w.Dropped(); got != sent-16 {
		t.Errorf("dropped %d, want %d", got, sent-16)
	}
	for i := sent - 16; i < sent; i++ {
		var n int
		if err := json.Unmarshal((<-w.C).Data.(json.RawMessage), &n); err != nil || n != i {
			t.Fatalf("event %d, %v; want %d", n, err, i)
		}
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	m, p := connected(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	w := m.Watch(ctx)
	cancel()
	if _, ok := <-w.C; ok {
		t.Error("channel delivered an event nobody sent")
	}
	other := m.Watch(t.Context())
	p.say(`{"event": "RESUME"}`)
	if ev := <-other.C; ev.Data != (Resume{}) {
		t.Errorf("event %+v, want RESUME", ev)
	}
	p.conn.Close()
	<-m.Done()
	if _, ok := <-m.Watch(t.Context()).C; ok {
		t.Error("a watch of a session that is over delivers events")
	}
}

func TestEventsInTheLibrarysForm(t *testing.T) {
	m, p := connected(t, Options{})
	events, err := m.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.say(`{"event": "DEVICE_DELETED", "data": {"device": "d"}, "timestamp": {"seconds": 3, "microseconds": 4}}`)
	ev := <-events
	if ev.Event != "DEVICE_DELETED" || ev.Data["device"] != "d" || ev.Timestamp.Seconds != 3 || ev.Timestamp.Microseconds != 4 {
		t.Errorf("event %+v", ev)
	}
	p.conn.Close()
	if _, ok := <-events; ok {
		t.Error("channel open after the end of the session")
	}
}
