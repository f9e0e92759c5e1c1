package cli

import (
	"strings"
	"testing"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func TestPort(t *testing.T) {
	web := engine.Listed{Container: container.Container{Spec: container.Spec{ID: strings.Repeat("a", 64), Name: "web"}}}
	web.Live.State = "running"
	web.Live.Ports = []container.PortMapping{
		{HostPort: 8080, ContainerPort: 80, Range: 1, Protocol: "tcp"},
		{HostIP: "127.0.0.1", HostPort: 5353, ContainerPort: 53, Range: 1, Protocol: "udp"},
		{HostIP: "::1", HostPort: 9000, ContainerPort: 7000, Range: 2, Protocol: "tcp"},
	}
	idle := engine.Listed{Container: container.Container{Spec: container.Spec{ID: strings.Repeat("b", 64), Name: "idle"}}}
	for _, tt := range []struct {
		name, args, want, fails string
	}{
		{"all of one", "web", "80/tcp -> 0.0.0.0:8080\n53/udp -> 127.0.0.1:5353\n7000/tcp -> [::1]:9000\n7001/tcp -> [::1]:9001\n", ""},
		{"of one that does not run", "idle", "", ""},
		{"one", "web 80", "0.0.0.0:8080\n", ""},
		{"one with its protocol", "web 53/udp", "127.0.0.1:5353\n", ""},
		{"one of a range", "web 7001/tcp", "[::1]:9001\n", ""},
		{"the other protocol", "web 80/udp", "", `failed to find published port "80/udp"`},
		{"one that is not published", "web 81", "", `failed to find published port "81"`},
		{"no number", "web x", "", `port "x": the form is PORT[/tcp|/udp]`},
		{"no protocol", "web 80/ip", "", `port "80/ip": the form is`},
		{"of all", "--all", "aaaaaaaaaaaa\t80/tcp -> 0.0.0.0:8080\n", ""},
		{"of all, with a name", "--all web", "", "no arguments are needed with --all"},
		{"of none", "", "", "you must supply a running container name or id"},
		{"unknown", "nosuch", "", "nosuch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := newTestApp(t)
			app.engine.list = []engine.Listed{web, idle}
			code := app.run(t, append([]string{"port"}, strings.Fields(tt.args)...)...)
			if tt.fails == "" && (code != 0 || !strings.HasPrefix(app.out.String(), tt.want) || tt.want == "" && app.out.Len() > 0) {
				t.Errorf("exit code %d, printed %q, %q; want %q", code, app.out.String(), app.err.String(), tt.want)
			}
			if tt.fails != "" && (code != 125 || !strings.Contains(app.err.String(), tt.fails)) {
				t.Errorf("exit code %d, printed %q; want %q", code, app.err.String(), tt.fails)
			}
		})
	}
}
