package qmp

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	goqmp "github.com/digitalocean/go-qemu/qmp"
)

// Event is something QEMU reports unasked. Data is one of the typed values below, or json.RawMessage for events
// this package has no type for (and for known ones whose data does not parse).
type Event struct {
	Name string    // as on the wire: SHUTDOWN, DEVICE_DELETED, …
	Time time.Time // QEMU's wall clock; zero if it had none
	Data any

	// wire is the undecoded data, for go-qemu's Event.
	wire      json.RawMessage
	timestamp timestamp
}

// ShutdownReason says who ended the machine (qapi/run-state.json, ShutdownCause).
type ShutdownReason string

// Values of ShutdownReason that callers tell apart.
const (
	ShutdownHostQuit   ShutdownReason = "host-qmp-quit"         // the quit command
	ShutdownHostSignal ShutdownReason = "host-signal"           // SIGTERM, SIGINT or SIGHUP to QEMU
	ShutdownHostError  ShutdownReason = "host-error"            // an error of QEMU's own
	ShutdownGuest      ShutdownReason = "guest-shutdown"        // the guest powered off
	ShutdownGuestReset ShutdownReason = "guest-reset"           // the guest rebooted, with -no-reboot
	ShutdownGuestPanic ShutdownReason = "guest-panic"           // reported through pvpanic
	ShutdownSubsystem  ShutdownReason = "subsystem-reset"       // a device asked for it
	ShutdownSnapshot   ShutdownReason = "snapshot-load"         // never by us
	ShutdownHostReset  ShutdownReason = "host-qmp-system-reset" // the system_reset command, with -no-reboot
)

// The events of qapi/run-state.json and qapi/qdev.json that vpod acts on.
type (
	// Shutdown (SHUTDOWN) comes once, before QEMU exits.
	Shutdown struct {
		Guest  bool           `json:"guest"` // the guest asked for it
		Reason ShutdownReason `json:"reason"`
	}
	// Powerdown (POWERDOWN): the ACPI power button was pressed for the guest.
	Powerdown struct{}
	// Reset (RESET): the machine was reset; with -no-reboot a Shutdown comes in its place.
	Reset struct {
		Guest  bool           `json:"guest"`
		Reason ShutdownReason `json:"reason"`
	}
	// Stop (STOP): the virtual CPUs stand still.
	Stop struct{}
	// Resume (RESUME): they run.
	Resume struct{}
	// GuestPanicked (GUEST_PANICKED): the guest's kernel reported a panic through pvpanic.
	GuestPanicked struct {
		Action string `json:"action"` // pause, poweroff or run: what QEMU did about it
	}
	// GuestCrashLoaded (GUEST_CRASHLOADED): the guest panicked and is writing its own crash dump.
	GuestCrashLoaded struct {
		Action string `json:"action"`
	}
	// DeviceDeleted (DEVICE_DELETED): the guest let go of a device. Device is empty for one without an id.
	DeviceDeleted struct {
		Device string `json:"device"`
		Path   string `json:"path"`
	}
	// DeviceUnplugError (DEVICE_UNPLUG_GUEST_ERROR): the guest refused to let go.
	DeviceUnplugError struct {
		Device string `json:"device"`
		Path   string `json:"path"`
	}
	// BlockIOError (BLOCK_IO_ERROR): a disk request failed on the host, most often for want of space.
	BlockIOError struct {
		Device    string `json:"device"`
		NodeName  string `json:"node-name"`
		Operation string `json:"operation"` // read or write
		Action    string `json:"action"`    // report, ignore or stop
		NoSpace   bool   `json:"nospace"`
		Reason    string `json:"reason"`
	}
	// MigrationChanged (MIGRATION), sent when the capability "events" is set.
	MigrationChanged struct {
		Status MigrationStatus `json:"status"`
	}
	// PortChanged (VSERPORT_CHANGE): the guest opened or closed a virtio-serial port.
	PortChanged struct {
		ID   string `json:"id"`
		Open bool   `json:"open"`
	}
)

// decodeEvent turns a message that has an event name into an Event.
func decodeEvent(msg *message) Event {
	ev := Event{Name: msg.Event, wire: msg.Data, timestamp: msg.Timestamp}
	if t := msg.Timestamp; t.Seconds >= 0 && t.Microseconds >= 0 {
		ev.Time = time.Unix(t.Seconds, t.Microseconds*int64(time.Microsecond))
	}
	switch msg.Event {
	case "SHUTDOWN":
		ev.Data = decodeData[Shutdown](msg.Data)
	case "POWERDOWN":
		ev.Data = Powerdown{}
	case "RESET":
		ev.Data = decodeData[Reset](msg.Data)
	case "STOP":
		ev.Data = Stop{}
	case "RESUME":
		ev.Data = Resume{}
	case "GUEST_PANICKED":
		ev.Data = decodeData[GuestPanicked](msg.Data)
	case "GUEST_CRASHLOADED":
		ev.Data = decodeData[GuestCrashLoaded](msg.Data)
	case "DEVICE_DELETED":
		ev.Data = decodeData[DeviceDeleted](msg.Data)
	case "DEVICE_UNPLUG_GUEST_ERROR":
		ev.Data = decodeData[DeviceUnplugError](msg.Data)
	case "BLOCK_IO_ERROR":
		ev.Data = decodeData[BlockIOError](msg.Data)
	case "MIGRATION":
		ev.Data = decodeData[MigrationChanged](msg.Data)
	case "VSERPORT_CHANGE":
		ev.Data = decodeData[PortChanged](msg.Data)
	default:
		ev.Data = msg.Data
	}
	return ev
}

// decodeData returns a T, or the raw data when it is not one.
func decodeData[T any](data json.RawMessage) any {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return data
	}
	return v
}

// goEvent converts to go-qemu's form, for users of its Monitor interface.
func (ev Event) goEvent() goqmp.Event {
	out := goqmp.Event{Event: ev.Name}
	// Data that is no object has no place in go-qemu's type and is left out.
	_ = json.Unmarshal(ev.wire, &out.Data)
	out.Timestamp.Seconds = ev.timestamp.Seconds
	out.Timestamp.Microseconds = ev.timestamp.Microseconds
	return out
}

// Watch is one subscription to events. C is closed when its context or the session ends. A watcher that does not
// keep up loses its oldest events, never the session.
type Watch struct {
	C       <-chan Event
	ch      chan Event
	stop    func() bool // lets go of the context
	dropped atomic.Uint64
}

// Dropped is how many events this watcher has lost so far.
func (w *Watch) Dropped() uint64 { return w.dropped.Load() }

// offer queues v in ch, at the price of the oldest queued values when it is full, and returns how many it cost.
// Only one goroutine may offer to a channel, which must have a buffer.
func offer[T any](ch chan T, v T) (dropped uint64) {
	for {
		select {
		case ch <- v:
			return dropped
		default:
		}
		select {
		case <-ch:
			dropped++
		default: // the receiver took one in the meantime
		}
	}
}

// watchers are the subscriptions of one session.
type watchers struct {
	mu     sync.Mutex
	live   map[*Watch]struct{}
	closed bool
}

// add registers a watcher with room for size events; after the end of the session its channel is closed at once.
func (ws *watchers) add(ctx context.Context, size int) *Watch {
	ch := make(chan Event, size)
	w := &Watch{C: ch, ch: ch}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		close(ch)
		return w
	}
	if ws.live == nil {
		ws.live = map[*Watch]struct{}{}
	}
	ws.live[w] = struct{}{}
	w.stop = context.AfterFunc(ctx, func() { ws.remove(w) })
	return w
}

// remove ends one subscription; a second call does nothing.
func (ws *watchers) remove(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if _, ok := ws.live[w]; ok {
		delete(ws.live, w)
		close(w.ch)
	}
}

func (ws *watchers) publish(ev Event) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.live {
		w.dropped.Add(offer(w.ch, ev))
	}
}

// close ends all subscriptions, present and future.
func (ws *watchers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.live {
		w.stop()
		delete(ws.live, w)
		close(w.ch)
	}
}

// Watch subscribes to events until ctx ends. Call it before Handshake to miss none.
func (m *Monitor) Watch(ctx context.Context) *Watch {
	return m.watchers.add(ctx, m.opts.EventBuffer)
}

// Events implements go-qemu's Monitor: Watch in that library's type, just as bounded.
func (m *Monitor) Events(ctx context.Context) (<-chan goqmp.Event, error) {
	w := m.Watch(ctx)
	out := make(chan goqmp.Event, m.opts.EventBuffer)
	go func() {
		defer close(out)
		for ev := range w.C {
			offer(out, ev.goEvent())
		}
	}()
	return out, nil
}
