package monitor

import (
	"io"
	"regexp"
	"strings"
	"time"

	"vpod/pkg/agentclient"
)

const (
	// consoleMax bounds console.log, in bytes.
	consoleMax = 256 << 10
	// consoleRate is how much of a guest's chatter is read in a second once
	// consoleBurst has been; QEMU drops what its serial port cannot get rid of.
	consoleRate  = 256 << 10
	consoleBurst = 2 << 20

	// consoleQuote is how much of the console's end an error quotes, in lines and
	// bytes of a line.
	consoleQuoteLines = 15
	consoleQuoteLine  = 200
)

// drainConsole copies the guest's console to its file until it ends. A guest
// that prints without end costs the rate and the file's size, no more.
func drainConsole(console io.Reader, to io.Writer) {
	buf := make([]byte, 8<<10)
	budget, last := float64(consoleBurst), time.Now()
	for {
		n, err := console.Read(buf)
		if n > 0 {
			_, _ = to.Write(buf[:n]) // a full disk is no reason to stop reading
		}
		if err != nil {
			return
		}
		now := time.Now()
		budget = min(budget+now.Sub(last).Seconds()*consoleRate, consoleBurst) - float64(n)
		last = now
		if budget < 0 {
			time.Sleep(time.Duration(-budget / consoleRate * float64(time.Second)))
		}
	}
}

// escapes are what terminals act upon (ECMA-48): control sequences, and strings
// with their introducers.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]PX^_][^\x07\x1b]*(\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]")

// consoleLines returns the last lines of a console's output, fit to be shown.
func consoleLines(raw []byte) []string {
	text := escapes.ReplaceAllString(string(raw), "")
	var lines []string
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = agentclient.Printable(line, consoleQuoteLine); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-consoleQuoteLines):]
}

// quoteConsole returns the end of the console as an appendix to an error, "" when
// it is empty.
func quoteConsole(raw []byte) string {
	lines := consoleLines(raw)
	if len(lines) == 0 {
		return "; the guest's console is empty"
	}
	return "; the end of the guest's console:\n  " + strings.Join(lines, "\n  ")
}

// panicLine returns the line in which the guest's kernel says that it panicked, or "".
func panicLine(raw []byte) string {
	for _, line := range strings.Split(string(raw), "\n") {
		if i := strings.Index(line, "Kernel panic - "); i >= 0 {
			return agentclient.Printable(line[i:], consoleQuoteLine)
		}
	}
	return ""
}
