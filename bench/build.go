package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// buildSteps is how many RUN steps the measured build has.
const buildSteps = 10

// measureBuild builds an image of steps that do next to nothing, without the cache.
// Beside it the same by buildah, which podman's build is made of, in both ways it has
// to isolate a step.
func measureBuild(ctx context.Context, w *world) ([]row, error) {
	rows := []row{
		{Name: "build/oci", Title: fmt.Sprintf("`build` of %d `RUN` steps; beside it `buildah bud`", buildSteps), Unit: milliseconds, Goal: &goal{ofRatio, 2, 1}},
		{Name: "build/chroot", Title: "… beside it `buildah bud --isolation chroot`", Unit: milliseconds, Goal: &goal{ofRatio, 2, 1}},
		{Name: "build/cpu", Title: "… processor time of all processes, beside `buildah bud`", Unit: milliseconds},
	}
	contestants, err := builds(ctx, w)
	if err != nil {
		return nil, err
	}
	samples, failed := alternate(ctx, w.rounds(7, 3), contestants)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for i, of := range []struct{ value, beside string }{{"wall", "oci"}, {"wall", "chroot"}, {"cpu", "oci"}} {
		rows[i].Samples = map[string][]float64{ours: samples[of.value][ours]}
		if s := samples[of.value][of.beside]; s != nil {
			rows[i].Samples[theirs] = s
		}
		if err := failed[of.beside]; err != nil {
			rows[i].note("buildah: %v", err)
		}
	}
	return rows, failed[ours]
}

// builds are the contestants: vpod, and buildah by the isolation it uses.
func builds(ctx context.Context, w *world) ([]contestant, error) {
	var all []contestant
	var errs []error
	for _, p := range w.programs() {
		image, err := w.image(ctx, p, busyboxImage)
		if err != nil {
			return nil, err
		}
		dir := w.path("build-" + p.name)
		var file strings.Builder
		fmt.Fprintf(&file, "FROM %s\n", image)
		for i := range buildSteps {
			fmt.Fprintf(&file, "RUN echo %d > /%d\n", i, i)
		}
		errs = append(errs, os.MkdirAll(dir, 0o700), os.WriteFile(dir+"/Containerfile", []byte(file.String()), 0o600))
		if p == w.vpod {
			all = append(all, timed(w, p, p.command("build", "--no-cache", dir)))
			continue
		}
		isolation := "oci"
		if os.Getuid() != 0 {
			isolation = "rootless"
		}
		for _, way := range []struct{ name, isolation string }{{"oci", isolation}, {"chroot", "chroot"}} {
			c := timed(w, p, []string{"buildah", "--root", w.path("p"), "--runroot", w.path("pr"), "--storage-driver", "overlay",
				"bud", "--isolation", way.isolation, "--layers", "--no-cache", dir})
			c.name = way.name
			all = append(all, c)
		}
	}
	return all, errors.Join(errs...)
}
