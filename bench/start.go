package main

import (
	"context"
	"time"
)

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// measureRun is the whole of a run, from fork of the command to its exit. What comes
// after, unseen by the user, counts as processor time.
func measureRun(ctx context.Context, w *world) ([]row, error) {
	contestants, err := runs(ctx, w, busyboxImage, []string{"--network", "none"}, "true")
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(15, 5), contestants, []row{
		{Name: "run/wall", Title: "`run --rm --network none IMAGE true`", Unit: milliseconds, Goal: &goal{ofRatio, 2, 1}},
		{Name: "run/cpu", Title: "… processor time of all its processes", Unit: milliseconds},
	})
}

func measureNetwork(ctx context.Context, w *world) ([]row, error) {
	contestants, err := runs(ctx, w, busyboxImage, nil, "true")
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(15, 5), contestants, []row{
		{Name: "network/wall", Title: "`run --rm IMAGE true`, default network", Unit: milliseconds, Goal: &goal{ofRatio, 1.5, 0.7},
			Notes: []string{"vpod: user-mode (passt); podman as root: a bridge (netavark), as a user: slirp4netns"}},
		{Name: "network/cpu", Title: "… processor time of all its processes", Unit: milliseconds},
	})
}

func measurePython(ctx context.Context, w *world) ([]row, error) {
	contestants, err := runs(ctx, w, debianImage, []string{"--network", "none"}, "python3", "-c", "pass")
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(9, 3), contestants, []row{
		{Name: "python/wall", Title: "`run --rm --network none DEBIAN python3 -c pass`", Unit: milliseconds},
	})
}

// runs are whole `run --rm`, one contestant a program. vpod's first converts the image.
func runs(ctx context.Context, w *world, kind string, options []string, command ...string) ([]contestant, error) {
	return eachProgram(w, func(p *program) (contestant, error) {
		image, err := w.image(ctx, p, kind)
		args := append(append([]string{"--rm"}, options...), image)
		return timed(w, p, p.container("run", append(args, command...)...)), err
	})
}

// measureBoards starts machines in all four ways, and podman in turn with them.
func measureBoards(ctx context.Context, w *world) ([]row, error) {
	base := []string{"--network", "none"}
	contestants, err := runs(ctx, w, busyboxImage, base, "true")
	if err != nil {
		return nil, err
	}
	contestants = contestants[1:] // podman, if it takes part
	templates := w.hasOption(ctx, "run", "--template")
	var rows []row
	for _, way := range []struct{ title, template, board string }{
		{"from a template, q35", "always", "q35"},
		{"cold, q35", "never", "q35"},
		{"from a template, microvm", "always", "microvm"},
		{"cold, microvm", "never", "microvm"},
	} {
		r := row{Name: "boards/" + way.template + "-" + way.board, Title: "`run … true`, " + way.title, Unit: milliseconds}
		options := append(base[:len(base):len(base)], "--machine", way.board)
		switch {
		case templates:
			options = append(options, "--template", way.template)
		case way.template == "always":
			r.note("not in this build")
			rows = append(rows, r)
			continue
		}
		image, err := w.image(ctx, w.vpod, busyboxImage)
		if err != nil {
			return nil, err
		}
		c := timed(w, w.vpod, w.vpod.container("run", append(append([]string{"--rm"}, options...), image, "true")...))
		c.name = r.Name
		contestants, rows = append(contestants, c), append(rows, r)
	}
	samples, failed := alternate(ctx, w.rounds(11, 3), contestants)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for i := range rows {
		if err := failed[rows[i].Name]; err != nil {
			rows[i].note("%v", err)
		}
		rows[i].Samples = map[string][]float64{}
		if s := samples["wall"][rows[i].Name]; s != nil {
			rows[i].Samples[ours] = s
			rows[i].Samples[theirs] = samples["wall"][theirs]
		}
	}
	return rows, nil
}
