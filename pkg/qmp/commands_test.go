package qmp

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/digitalocean/go-qemu/qmp/raw"
)

// TestCommandsOnTheWire holds what each typed command sends and that it takes QEMU's reply.
func TestCommandsOnTheWire(t *testing.T) {
	devNull, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer devNull.Close()
	nothing := func(err error) (any, error) { return nil, err }
	tests := []struct {
		name, args, reply string
		call              func(context.Context, *Monitor) (any, error)
		want              any
	}{
		{"query-status", ``, `{"status": "state-of-a-later-qemu", "singlestep": false, "running": false}`,
			func(ctx context.Context, m *Monitor) (any, error) { return m.Status(ctx) }, Status{false, "state-of-a-later-qemu"}},
		{"query-version", `{}`, `{"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}`,
			func(ctx context.Context, m *Monitor) (any, error) {
				v, err := m.QueryVersion(ctx)
				return v.String() + " " + v.Package, err
			}, "7.2.22 Debian"},
		{"quit", `{}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.Quit(ctx)) }, nil},
		{"stop", `{}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.Stop(ctx)) }, nil},
		{"cont", `{}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.Cont(ctx)) }, nil},
		{"system_powerdown", `{}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.SystemPowerdown(ctx)) }, nil},
		{"device_add", `{"driver": "virtio-blk-pci", "id": "d1", "drive": "n1", "bootindex": 1}`, `{}`,
			func(ctx context.Context, m *Monitor) (any, error) {
				return nothing(m.DeviceAdd(ctx, "virtio-blk-pci", "d1", map[string]any{"drive": "n1", "bootindex": 1}))
			}, nil},
		{"device_del", `{"id": "d1"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.DeviceDel(ctx, "d1")) }, nil},
		{"blockdev-add", `{"driver": "null-co", "node-name": "n"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) {
			return nothing(m.BlockdevAdd(ctx, map[string]any{"driver": "null-co", "node-name": "n"}))
		}, nil},
		{"blockdev-del", `{"node-name": "n"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.BlockdevDel(ctx, "n")) }, nil},
		{"block_resize", `{"node-name": "n", "size": 10737418240}`, `{}`,
			func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.BlockResize(ctx, "n", 10<<30)) }, nil},
		{"getfd", `{"fdname": "state"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.Getfd(ctx, "state", devNull)) }, nil},
		{"closefd", `{"fdname": "state"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.Closefd(ctx, "state")) }, nil},
		{"add-fd", `{"fdset-id": 3}`, `{"fdset-id": 3, "fd": 9}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.AddFd(ctx, 3, devNull)) }, nil},
		{"remove-fd", `{"fdset-id": 3}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.RemoveFd(ctx, 3)) }, nil},
		{"migrate-set-capabilities", `{"capabilities": [{"capability": "events", "state": false}, {"capability": "x-ignore-shared", "state": true}]}`, `{}`,
			func(ctx context.Context, m *Monitor) (any, error) {
				return nothing(m.SetMigrationCapabilities(ctx, map[MigrationCapability]bool{CapIgnoreShared: true, CapEvents: false}))
			}, nil},
		{"migrate", `{"uri": "fd:state"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.Migrate(ctx, "fd:state")) }, nil},
		{"migrate-incoming", `{"uri": "fd:state"}`, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return nothing(m.MigrateIncoming(ctx, "fd:state")) }, nil},
		{"query-migrate", ``, `{"status": "failed", "error-desc": "no"}`,
			func(ctx context.Context, m *Monitor) (any, error) { return m.QueryMigrate(ctx) }, MigrationInfo{Status: MigrationFailed, ErrorDesc: "no"}},
		{"query-migrate", ``, `{}`, func(ctx context.Context, m *Monitor) (any, error) { return m.QueryMigrate(ctx) }, MigrationInfo{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, p := connected(t, Options{})
			done := p.play(func() {
				cmd := p.expect(tt.name)
				if !sameJSON(t, string(cmd.Arguments), tt.args) {
					t.Errorf("arguments %s, want %s", cmd.Arguments, tt.args)
				}
				p.reply(cmd, tt.reply)
			})
			got, err := tt.call(soon(t), m)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s = %#v, %v; want %#v", tt.name, got, err, tt.want)
			}
			<-done
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	decode := func(s string) (v any) {
		if s != "" {
			if err := json.Unmarshal([]byte(s), &v); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
		}
		return v
	}
	return reflect.DeepEqual(decode(a), decode(b))
}

func TestQuitIsDoneWhenQEMUIsGone(t *testing.T) {
	m, p := connected(t, Options{})
	p.play(func() { p.expect("quit"); p.conn.Close() })
	if err := m.Quit(soon(t)); err != nil {
		t.Errorf("Quit = %v", err)
	}
}

// TestGeneratedCommands: go-qemu's typed API works on top of Monitor.
func TestGeneratedCommands(t *testing.T) {
	m, p := connected(t, Options{})
	p.play(func() { p.reply(p.expect("query-name"), `{"name": "vm"}`) })
	info, err := raw.NewMonitor(m).QueryName()
	if err != nil || info.Name == nil || *info.Name != "vm" {
		t.Errorf("QueryName = %+v, %v", info, err)
	}
	p.play(func() { p.refuse(p.expect("query-name"), "GenericError", "no") })
	if _, err := raw.NewMonitor(m).QueryName(); !HasClass(err, ClassGeneric) {
		t.Errorf("refusal through the library: %v", err)
	}
}
