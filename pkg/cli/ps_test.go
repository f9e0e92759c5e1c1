package cli

import (
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// psList has a container in each state, the newest first, as the engine lists them.
func psList() []engine.Listed {
	row := func(n string, age time.Duration, state container.State) engine.Listed {
		return engine.Listed{Container: container.Container{
			Spec: container.Spec{
				ID:      strings.Repeat(n, 64),
				Name:    "name" + n,
				Created: testNow.Add(-age),
				Image:   container.Image{ID: strings.Repeat("f", 64), Name: "localhost/busybox:1"},
				Process: container.Process{Command: []string{"sleep", n}},
				Network: container.Network{Mode: container.NetworkUser},
			},
			Record: container.Record{State: state},
		}}
	}
	created := row("5", time.Second/2, container.Created)
	created.Spec.Process.Command = []string{"sh", "-c", "echo a\nlong\tcommand"}
	created.Spec.Network.Mode = container.NetworkNone
	restarting := row("4", 2*time.Minute, container.Running)
	restarting.Live.State = "restarting"
	restarting.Record.ExitCode = 3
	running := row("3", 3*time.Hour, container.Running)
	running.Live = engine.Live{State: "running", StartedAt: testNow.Add(-5 * time.Second), QEMUPID: 4242, Ports: []container.PortMapping{
		{HostIP: "127.0.0.1", HostPort: 41000, ContainerPort: 80, Range: 1, Protocol: "tcp"},
	}}
	running.Spec.Network.Ports = []container.PortMapping{
		{HostIP: "127.0.0.1", ContainerPort: 80, Range: 1, Protocol: "tcp"},
	}
	running.Spec.Labels = map[string]string{"tier": "web"}
	running.Spec.Process.Command, running.Spec.Process.Entrypoint = nil, []string{"/entry"}
	running.Spec.Rootfs.Tmpfs = []container.Tmpfs{{Path: "/t"}}
	running.Size = &engine.Size64{Writable: 12_345, Root: 1_987_655}
	exited := row("2", 48*time.Hour, container.Exited)
	exited.Record.StartedAt, exited.Record.FinishedAt, exited.Record.ExitCode = testNow.Add(-4*time.Hour), testNow.Add(-3*time.Minute), 137
	exited.Spec.AutoRemove = true
	exited.Size = &engine.Size64{Writable: 0, Root: 5_000_000_000}
	exited.Spec.Network.Ports = []container.PortMapping{
		{HostPort: 8080, ContainerPort: 80, Range: 1, Protocol: "tcp"},
		{HostIP: "127.0.0.1", HostPort: 5000, ContainerPort: 5000, Range: 4, Protocol: "udp"},
	}
	stopping := row("1", 240*time.Hour, container.Stopping)
	stopping.Live.State = "stopping"
	return []engine.Listed{created, restarting, running, exited, stopping}
}

func TestPsGolden(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"table", nil},
		{"size", []string{"--size"}},
		{"no-trunc", []string{"--no-trunc"}},
		{"noheading", []string{"--noheading"}},
		{"quiet", []string{"-q"}},
		{"quiet-no-trunc", []string{"-q", "--no-trunc"}},
		{"json", []string{"--format", "json"}},
		{"sort-names", []string{"--sort", "names", "--format", "{{.Names}}"}},
		{"sort-size", []string{"--sort", "size", "--format", "{{.Names}} {{.Size}}"}},
		{"sort-status", []string{"--sort", "status", "--format", "{{.Names}} {{.Status}}"}},
		{"format", []string{"--format", "{{.ID}} {{.Image}} {{.ImageID}} {{.Labels}} {{.Mounts}} {{.CreatedAt}} {{.State}} {{.Pid}} {{.Networks}} {{.ExitCode}}"}},
		{"format-table", []string{"--format", "table {{.ID}} {{.Names}} {{.Status}} {{.RunningFor}}"}},
		{"format-word-table", []string{"--format", "table"}},
		{"format-range", []string{"--format", "{{range .}}{{.Names}};{{end}}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.engine.list = psList()
			if code := a.run(t, append([]string{"ps", "-a"}, tt.args...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			golden(t, "ps/"+tt.name+".txt", a.out.String())
		})
	}
}

func TestPsOfNothing(t *testing.T) {
	a := newTestApp(t)
	if code := a.run(t, "ps", "--format", "json"); code != 0 || a.out.String() != "[]\n" {
		t.Errorf("exit code %d, %q, want an empty array", code, a.out.String())
	}
	if code := a.run(t, "ps"); code != 0 || a.out.String() != "CONTAINER ID  IMAGE       COMMAND     CREATED     STATUS      PORTS       NAMES\n" {
		t.Errorf("exit code %d, %q, want the headings", code, a.out.String())
	}
}

func TestPsOptions(t *testing.T) {
	tests := []struct {
		args string
		want engine.ListOptions
		err  string
	}{
		{"", engine.ListOptions{}, ""},
		{"-a -s", engine.ListOptions{All: true, Size: true}, ""},
		{"-l", engine.ListOptions{All: true, Latest: true}, ""},
		{"-n 3", engine.ListOptions{All: true, Last: 3}, ""},
		{"--filter status=exited", engine.ListOptions{All: true, Filters: []string{"status=exited"}}, ""},
		{"--filter name=x --filter label=y", engine.ListOptions{Filters: []string{"name=x", "label=y"}}, ""},
		{"--format {{.Size}}", engine.ListOptions{Size: true}, ""},
		{"-l -n 3", engine.ListOptions{}, "--last and --latest"},
		{"-n -5", engine.ListOptions{}, "--last -5"},
		{"-q -s", engine.ListOptions{}, "--quiet and --size"},
		{"--sort foo", engine.ListOptions{}, "choose from"},
		{"--format {{", engine.ListOptions{}, "--format"},
		{"x", engine.ListOptions{}, "unknown command"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			a := newTestApp(t)
			code := a.run(t, append([]string{"ps"}, strings.Fields(tt.args)...)...)
			if a.refused(t, code, tt.err) {
				return
			}
			got, _ := a.engine.options.(engine.ListOptions)
			if code != 0 || strings.Join(got.Filters, " ") != strings.Join(tt.want.Filters, " ") {
				t.Errorf("exit code %d, filters %q", code, got.Filters)
			}
			got.Filters, tt.want.Filters = nil, nil
			if got.All != tt.want.All || got.Latest != tt.want.Latest || got.Last != tt.want.Last || got.Size != tt.want.Size {
				t.Errorf("options %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestPsFormatNamesWhatIsWrong(t *testing.T) {
	a := newTestApp(t)
	a.engine.list = psList()
	if code := a.run(t, "ps", "-a", "--format", "{{.Nope}}"); code != 125 || !strings.Contains(a.err.String(), "Nope") {
		t.Errorf("exit code %d, %q", code, a.err.String())
	}
}
