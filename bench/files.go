package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// measureFiles has the probe work with the files of its image, in a container that
// has just started: in a machine its own kernel has nothing in its cache yet, but the
// host's has the image. For podman the host's cache is all there is: its first read
// is as warm as the second.
func measureFiles(ctx context.Context, w *world) ([]row, error) {
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		image, err := w.image(ctx, p, filesImage)
		return contestant{name: p.name, one: func(ctx context.Context) (values, error) {
			r, err := w.runSettled(ctx, p.container("run", "--rm", "--network", "none", image, "probe", "files")...)
			if err != nil {
				return nil, err
			}
			v := values{}
			if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
				return nil, fmt.Errorf("the probe's answer: %w", err)
			}
			return v, nil
		}}, err
	})
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(7, 3), contestants, []row{
		{Name: "files/sequential", Title: "read 128 MiB of the image, first time", Unit: throughput,
			Notes: []string{"podman reads from the host's cache, which is warm for both; the guest's own is cold"}},
		{Name: "files/sequential-again", Title: "… once more", Unit: throughput},
		{Name: "files/random", Title: "read 4 KiB of 64 MiB at random, first time", Unit: microseconds},
		{Name: "files/walk", Title: "look at 10,000 files of the image, first time", Unit: milliseconds},
		{Name: "files/walk-again", Title: "… once more", Unit: milliseconds},
		{Name: "files/untar", Title: "`tar x` of 10,000 small files, by busybox, not synced", Unit: milliseconds},
	})
}
