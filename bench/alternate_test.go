package main

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAlternate(t *testing.T) {
	var order strings.Builder
	turns := map[string]float64{}
	fake := func(name string, failAt float64) contestant {
		step := func(word string) func(context.Context) error {
			return func(context.Context) error { order.WriteString(word); return nil }
		}
		return contestant{name: name, before: step("<"), after: step("> "), one: func(context.Context) (values, error) {
			order.WriteString(name)
			turns[name]++
			if turns[name] == failAt {
				return nil, errors.New("broken")
			}
			return values{"wall": turns[name]}, nil
		}}
	}
	got, failed := alternate(t.Context(), 2, []contestant{fake("a", 0), fake("b", 3), fake("c", 1)})
	if want := "<a> <b> <c> <a> <b> <a> <b> "; order.String() != want {
		t.Errorf("the order was %q, want %q", order.String(), want)
	}
	// The first turn is not counted, and who fails has no samples at all.
	if want := (record{"wall": {"a": {2, 3}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("alternate() = %v, want %v", got, want)
	}
	if failed["a"] != nil || failed["b"] == nil || failed["c"] == nil {
		t.Errorf("failures: %v", failed)
	}
}

func TestAlternateEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	after := 0
	_, failed := alternate(ctx, 100, []contestant{{
		name:  "a",
		one:   func(ctx context.Context) (values, error) { cancel(); return nil, ctx.Err() },
		after: func(ctx context.Context) error { after++; return ctx.Err() },
	}})
	if after != 1 || !errors.Is(failed["a"], context.Canceled) {
		t.Errorf("after ran %d times, failures %v; want once, with a context that is not done", after, failed)
	}
}

func TestChoose(t *testing.T) {
	all := measurements()
	for _, tt := range []struct{ name, only, want, fail string }{
		{"all but the extra one", "", "", ""},
		{"in the order asked for", "ps, exec", "ps exec", ""},
		{"unknown", "ps,nothing", "", `no measurement "nothing"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(all, tt.only)
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Fatalf("choose(%q) = %v, want an error with %q", tt.only, err, tt.fail)
				}
				return
			}
			var names []string
			for _, m := range got {
				names = append(names, m.name)
			}
			if err != nil || (tt.only == "" && len(got) != len(all)-1) || (tt.only != "" && strings.Join(names, " ") != tt.want) {
				t.Errorf("choose(%q) = %v, %v", tt.only, names, err)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		fail string
	}{
		{"an unknown option", []string{"--fast"}, "not defined"},
		{"an argument", []string{"build"}, "too much"},
		{"an unknown measurement", []string{"--only", "x"}, "no measurement"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, progress strings.Builder
			if err := run(t.Context(), tt.args, &out, &progress); err == nil || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("run(%q) = %v, want an error with %q", tt.args, err, tt.fail)
			}
		})
	}
}

func TestList(t *testing.T) {
	var out, progress strings.Builder
	if err := run(t.Context(), []string{"--list"}, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "\n") != len(measurements()) || !strings.HasPrefix(got, "run  ") {
		t.Errorf("--list printed\n%s", got)
	}
}

func TestJudge(t *testing.T) {
	rules := []limit{{"ps", "version", 5, "ps"}, {"template", "cold", 0.6, "template"}}
	for _, tt := range []struct {
		name   string
		costs  map[string]time.Duration
		lines  []string
		broken int
	}{
		{"all hold", map[string]time.Duration{"ps": 50, "version": 10, "template": 3, "cold": 10}, []string{"ok: ps: 5.00, at most 5.00", "ok: template: 0.30"}, 0},
		{"one does not", map[string]time.Duration{"ps": 51, "version": 10, "template": 3, "cold": 10}, []string{"FAILED: ps: 5.10", "ok: template"}, 1},
		{"one cannot be measured", map[string]time.Duration{"ps": 10, "version": 10, "cold": 10}, []string{"ok: ps", "skipped: template: not in this build"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, broken := judge(rules, tt.costs)
			if broken != tt.broken || len(lines) != len(tt.lines) {
				t.Fatalf("judge() = %q, %d", lines, broken)
			}
			for i, want := range tt.lines {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d is %q, want %q …", i, lines[i], want)
				}
			}
		})
	}
}
