package image

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestSplitUsage(t *testing.T) {
	usage, rest, err := splitUsage([]string{"dangling=true", "containers=false", "containers!=external", "label=containers=x"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (usageFilter{{want: "false"}, {want: "external", negate: true}}); !slices.Equal(usage, want) {
		t.Errorf("conditions %+v, want %+v", usage, want)
	}
	if want := []string{"dangling=true", "label=containers=x"}; !slices.Equal(rest, want) {
		t.Errorf("the rest is %q, want %q", rest, want)
	}
	if _, _, err := splitUsage([]string{"containers=maybe"}); err == nil {
		t.Error("containers=maybe is taken")
	}
}

func TestCheckFilters(t *testing.T) {
	for _, known := range []string{"label=a!=b", "until!=5m", "dangling", "reference=x"} { // one without a value is libimage's to refuse
		if err := checkFilters([]string{known}); err != nil {
			t.Errorf("%s: %v", known, err)
		}
	}
	for _, unknown := range []string{"foo=bar", "foo!=bar", "=x"} {
		if err := checkFilters([]string{"label=x", unknown}); err == nil || !strings.Contains(err.Error(), "there are after, before") {
			t.Errorf("%s: %v", unknown, err)
		}
	}
}

// The keys are those that libimage knows: each of ours it takes, or says what its value is.
func TestFilterKeysAreLibimages(t *testing.T) {
	s := newStore(t, "vfs")
	for _, key := range filterKeys {
		if _, err := s.List(t.Context(), ListOptions{Filters: []string{key + "=x"}}); err != nil && strings.Contains(err.Error(), "must be in the format") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestUsageChooses(t *testing.T) {
	tests := []struct {
		name     string
		filter   usageCondition
		store    storeUsers
		database int
		want     bool
	}{
		{"used by nobody, wanted so", usageCondition{want: "false"}, storeUsers{}, 0, true},
		{"used by nobody", usageCondition{want: "true"}, storeUsers{}, 0, false},
		{"used by vpod", usageCondition{want: "true"}, storeUsers{}, 1, true},
		{"used by another tool", usageCondition{want: "true"}, storeUsers{foreign: 1}, 0, true},
		{"by a layer of vpod's", usageCondition{want: "false"}, storeUsers{ours: 1}, 0, false},
		{"external", usageCondition{want: "external"}, storeUsers{foreign: 1}, 0, true},
		{"external and ours", usageCondition{want: "external"}, storeUsers{foreign: 1}, 1, false},
		{"not external", usageCondition{want: "external", negate: true}, storeUsers{}, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inUse := func(context.Context, string) (int, error) { return tt.database, nil }
			got, err := usageFilter{tt.filter}.chooses(t.Context(), "id", tt.store, inUse)
			if err != nil || got != tt.want {
				t.Errorf("%+v with %+v and %d in the database: %t, %v, want %t", tt.filter, tt.store, tt.database, got, err, tt.want)
			}
		})
	}
}
