package image

import (
	"context"
	"slices"
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
