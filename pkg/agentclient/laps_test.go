package agentclient

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/agentproto"
)

func TestPlausibleLaps(t *testing.T) {
	lap := agentproto.Lap{What: "a", Nanos: 1}
	for _, tt := range []struct {
		name       string
		laps, want []agentproto.Lap
	}{
		{"none", nil, nil},
		{"some", []agentproto.Lap{lap, lap}, []agentproto.Lap{lap, lap}},
		{"too many", slices.Repeat([]agentproto.Lap{lap}, 1000), slices.Repeat([]agentproto.Lap{lap}, maxLaps)},
		{"not to be printed", []agentproto.Lap{{What: "a\x1b[2Jb\n"}}, []agentproto.Lap{{What: "a [2Jb"}}},
		{"too long", []agentproto.Lap{{What: strings.Repeat("x", 1000)}}, []agentproto.Lap{{What: strings.Repeat("x", maxLapText-4) + "…"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := plausibleLaps(tt.laps); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("plausibleLaps() = %+v, want %+v", got, tt.want)
			}
		})
	}
}
