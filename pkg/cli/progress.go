package cli

import (
	"fmt"
	"sync"
)

// progressLine shows how far a long step is: on a terminal one line that is
// redrawn, elsewhere each new text once. A nil progressLine shows nothing.
type progressLine struct {
	app      *App
	terminal bool

	mu   sync.Mutex
	last string
	open bool // the cursor stands behind a line that will be redrawn
}

func (app *App) newProgressLine() *progressLine {
	return &progressLine{app: app, terminal: app.Terminal.IsTerminal(2)}
}

// show says that the step named by text is done by percent, which is negative
// when unknown.
func (p *progressLine) show(text string, percent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		if text != p.last {
			p.last = text
			fmt.Fprintln(p.app.Stderr, text)
		}
		return
	}
	if text != p.last && p.open {
		fmt.Fprintln(p.app.Stderr)
	}
	p.last, p.open = text, true
	if percent < 0 {
		fmt.Fprintf(p.app.Stderr, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintf(p.app.Stderr, "\r\x1b[K%s %3d%%", text, min(percent, 100))
}

// end leaves the line. show may be called again, and begins a new one.
func (p *progressLine) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		fmt.Fprintln(p.app.Stderr)
	}
	p.open, p.last = false, ""
}
