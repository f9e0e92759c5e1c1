package image

import (
	"context"
	"testing"

	"github.com/containers/storage"
)

func TestMeasure(t *testing.T) {
	layers := map[string]storage.Layer{
		"base": {ID: "base", UncompressedSize: 1000},
		"a":    {ID: "a", Parent: "base", UncompressedSize: 200},
		"b":    {ID: "b", Parent: "base", UncompressedSize: 30},
		"loop": {ID: "loop", Parent: "loop", UncompressedSize: 4},
	}
	images := []storage.Image{
		{ID: "A", TopLayer: "a", BigDataSizes: map[string]int64{"manifest": 5}},
		{ID: "B", TopLayer: "b", BigDataSizes: map[string]int64{"manifest": 6}},
		{ID: "damaged", TopLayer: "lost"},
		{ID: "loop", TopLayer: "loop"},
		{ID: "empty"},
	}
	got := measure(images, layers, map[string]int{"A": 2})
	if got.TotalBytes != 1000+200+30+4+5+6 || got.ReclaimableBytes != 30+4+6 {
		t.Errorf("total %d, reclaimable %d, want %d and %d", got.TotalBytes, got.ReclaimableBytes, 1245, 40)
	}
	want := map[string]ImageUsage{
		"A":       {SharedBytes: 1000, UniqueBytes: 205, Containers: 2},
		"B":       {SharedBytes: 1000, UniqueBytes: 36},
		"damaged": {}, "loop": {UniqueBytes: 4}, "empty": {},
	}
	for _, i := range got.Images {
		w := want[i.ID]
		if i.SharedBytes != w.SharedBytes || i.UniqueBytes != w.UniqueBytes || i.Containers != w.Containers {
			t.Errorf("image %s: %+v, want %+v", i.ID, i, w)
		}
	}
}

func TestUsageOfAStore(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	usage, err := s.Usage(t.Context(), func(_ context.Context, id string) (int, error) {
		if id != img.ID {
			t.Errorf("asked for image %s", id)
		}
		return 3, nil
	})
	if err != nil || len(usage.Images) != 1 {
		t.Fatalf("%+v, %v", usage, err)
	}
	one := usage.Images[0]
	if one.Containers != 3 || one.UniqueBytes != usage.TotalBytes || usage.TotalBytes < 1000 || usage.ReclaimableBytes != 0 {
		t.Errorf("%+v", usage)
	}
}
