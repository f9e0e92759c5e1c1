package engine

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
)

// filterFunc says whether c, one of all, is to be kept.
type filterFunc func(c chosen, all []chosen) bool

// parseFilters turns "key=value" filters of ps into one function: values of
// the same key are alternatives, different keys must all hold, as in
// podman-ps(1).
func parseFilters(filters []string) (filterFunc, error) {
	byKey := map[string][]filterFunc{}
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: the form is key=value", f)
		}
		fn, err := newFilter(key, value)
		if err != nil {
			return nil, err
		}
		byKey[key] = append(byKey[key], fn)
	}
	return func(c chosen, all []chosen) bool {
		for key, alternatives := range byKey {
			holds := func(fn filterFunc) bool { return fn(c, all) }
			if key == "label" { // every label must be there
				if slices.ContainsFunc(alternatives, func(fn filterFunc) bool { return !holds(fn) }) {
					return false
				}
				continue
			}
			if !slices.ContainsFunc(alternatives, holds) {
				return false
			}
		}
		return true
	}, nil
}

// newFilter makes the function of one filter.
func newFilter(key, value string) (filterFunc, error) {
	switch key {
	case "id":
		return func(c chosen, _ []chosen) bool { return strings.HasPrefix(c.Spec.ID, strings.ToLower(value)) }, nil
	case "name":
		re, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("invalid filter name=%s: %w", value, err)
		}
		return func(c chosen, _ []chosen) bool { return re.MatchString(c.Spec.Name) }, nil
	case "status":
		want := value
		if want == "stopped" {
			want = string(container.Exited)
		}
		known := slices.Contains(container.States(), container.State(want)) || want == restarting || want == paused
		if !known {
			return nil, fmt.Errorf("invalid filter status=%s: the states are created, starting, running, paused, restarting, stopping, exited, removing", value)
		}
		return func(c chosen, _ []chosen) bool { return c.shownState() == want }, nil
	case "exited":
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("invalid filter exited=%s: the value is an exit code", value)
		}
		return func(c chosen, _ []chosen) bool {
			return c.Record.State == container.Exited && c.Record.ExitCode == code
		}, nil
	case "label":
		name, want, exact := strings.Cut(value, "=")
		return func(c chosen, _ []chosen) bool {
			have, ok := c.Spec.Labels[name]
			return ok && (!exact || have == want)
		}, nil
	case "ancestor":
		return func(c chosen, _ []chosen) bool { return imageMatches(c.Spec.Image, value) }, nil
	case "network":
		return func(c chosen, _ []chosen) bool { return string(c.Spec.Network.Mode) == value }, nil
	case "before", "since":
		return func(c chosen, all []chosen) bool {
			i := slices.IndexFunc(all, func(o chosen) bool {
				return o.Spec.Name == value || (value != "" && strings.HasPrefix(o.Spec.ID, value))
			})
			if i < 0 {
				return false
			}
			if key == "before" {
				return c.Spec.Created.Before(all[i].Spec.Created)
			}
			return c.Spec.Created.After(all[i].Spec.Created)
		}, nil
	case "until":
		limit, err := untilTime(value, time.Now())
		if err != nil {
			return nil, err
		}
		return func(c chosen, _ []chosen) bool { return c.Spec.Created.Before(limit) }, nil
	case "restart-policy":
		return func(c chosen, _ []chosen) bool { return c.Spec.Restart.Name == value }, nil
	}
	return nil, fmt.Errorf("invalid filter %q: vpod knows id, name, status, exited, label, ancestor, network, before, since, until and restart-policy", key)
}

// shownState is the state as users and scripts see it: the monitor's word while
// it lives, else the record's.
func (c chosen) shownState() string { return string(shownState(c.Container, c.live)) }

// shownState is chosen.shownState of the two that make one.
func shownState(c container.Container, live *monitor.Status) container.State {
	if live != nil && live.State != "" {
		return container.State(live.State)
	}
	return c.Record.State
}

// imageMatches reports whether the user's word for an image means img: its id or
// a beginning of it, its full name, or the name without registry or tag.
func imageMatches(img container.Image, word string) bool {
	if word == "" {
		return false
	}
	if strings.HasPrefix(img.ID, strings.TrimPrefix(word, "sha256:")) || img.Name == word || img.RawName == word {
		return true
	}
	name := img.Name
	if !strings.Contains(path.Base(word), ":") {
		if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
			name = name[:i]
		}
	}
	return name == word || strings.HasSuffix(name, "/"+word)
}

// untilTime reads a time or a duration before now.
func untilTime(value string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(value); err == nil {
		return now.Add(-d), nil
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("invalid time %q: give a duration as 10m, a date as 2006-01-02T15:04:05, or seconds since 1970", value)
}
