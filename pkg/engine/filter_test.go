package engine

import (
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
)

func TestFilters(t *testing.T) {
	at := func(n int) time.Time { return time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC) }
	row := func(id, name string, created time.Time, state container.State, live *monitor.Status) chosen {
		spec := container.Spec{ID: id, Name: name, Created: created, Labels: map[string]string{"role": name, "all": ""}}
		spec.Image = container.Image{ID: strings.Repeat("9", 64), Name: "registry.example/team/app:2", RawName: "app:2"}
		return chosen{Container: container.Container{Spec: spec, Record: container.Record{ID: id, State: state, ExitCode: 3}}, live: live}
	}
	all := []chosen{
		row("aa11", "web", at(0), container.Running, &monitor.Status{State: "running"}),
		row("bb22", "db", at(1), container.Exited, nil),
		row("cc33", "webby", at(2), container.Created, nil),
	}
	for _, tt := range []struct {
		name    string
		filters []string
		want    string
	}{
		{"none", nil, "web db webby"},
		{"name is a pattern", []string{"name=^web"}, "web webby"},
		{"values of one key are alternatives", []string{"name=^web$", "name=db"}, "web db"},
		{"different keys must all hold", []string{"name=web", "status=created"}, "webby"},
		{"id begins", []string{"id=bb"}, "db"},
		{"status of a living one", []string{"status=running"}, "web"},
		{"stopped is exited", []string{"status=stopped"}, "db"},
		{"exit code", []string{"exited=3"}, "db"},
		{"label", []string{"label=role"}, "web db webby"},
		{"label and value", []string{"label=role=db"}, "db"},
		{"labels must all be there", []string{"label=role=db", "label=all"}, "db"},
		{"labels that exclude each other", []string{"label=role=db", "label=role=web"}, ""},
		{"ancestor by short name", []string{"ancestor=app"}, "web db webby"},
		{"ancestor by id", []string{"ancestor=9999"}, "web db webby"},
		{"ancestor with another tag", []string{"ancestor=app:1"}, ""},
		{"before", []string{"before=db"}, "web"},
		{"since", []string{"since=db"}, "webby"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			match, err := parseFilters(tt.filters)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range all {
				if match(c, all) {
					got = append(got, c.Spec.Name)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("filters %q keep %q, want %q", tt.filters, got, tt.want)
			}
		})
	}
	for _, bad := range []string{"name", "color=red", "status=sleepy", "exited=x", "name=["} {
		if _, err := parseFilters([]string{bad}); err == nil {
			t.Errorf("parseFilters(%q) is accepted", bad)
		}
	}
}
