// Command gotest reads the output of `go test -json` and prints it for people: a
// line for each package, and the whole log of what failed. It writes the number of
// test functions that passed, failed and were skipped to a file, for hack/check to
// add up. It runs no tests itself.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

func main() {
	counts := flag.String("counts", "", "write \"passed failed skipped\" to this `file`")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *counts); err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// totals count test functions; subtests belong to their function.
type totals struct{ passed, failed, skipped int }

// run prints the report. Its error says that something failed.
func run(in io.Reader, out io.Writer, countsFile string) error {
	t, err := report(in, out)
	if err != nil {
		return err
	}
	if countsFile != "" {
		if err := os.WriteFile(countsFile, fmt.Appendf(nil, "%d %d %d\n", t.passed, t.failed, t.skipped), 0o600); err != nil {
			return err
		}
	}
	if t.failed > 0 {
		return fmt.Errorf("%d tests failed", t.failed)
	}
	return nil
}

// report prints what the events say as they come and returns the totals. A package
// that fails without a failing test, because it does not build or panics, counts as
// one failure.
func report(in io.Reader, out io.Writer) (totals, error) {
	var sum totals
	logs := map[string]*strings.Builder{} // output by package and test
	failed := map[string]int{}            // failing test functions by package
	log := func(key string) *strings.Builder {
		if logs[key] == nil {
			logs[key] = &strings.Builder{}
		}
		return logs[key]
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return sum, nil
		}
		if err != nil && err != io.EOF {
			return sum, err
		}
		var e event
		if json.Unmarshal(line, &e) != nil { // what is no event comes from the go command itself
			fmt.Fprintf(out, "%s", line)
			continue
		}
		function, _, _ := strings.Cut(e.Test, "/")
		switch e.Action {
		case "output":
			log(e.Package + " " + function).WriteString(e.Output)
		case "build-output":
			log("build " + e.ImportPath).WriteString(e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				finish(out, e, logs, failed[e.Package], &sum)
				continue
			}
			if e.Test != function {
				continue
			}
			key := e.Package + " " + function
			switch e.Action {
			case "pass":
				sum.passed++
			case "skip":
				sum.skipped++
				fmt.Fprintf(out, "skip %s %s: %s\n", e.Package, function, lastWords(log(key).String()))
			case "fail":
				sum.failed++
				failed[e.Package]++
				fmt.Fprintf(out, "FAIL %s %s\n%s", e.Package, function, indented(log(key).String()))
			}
			delete(logs, key)
		}
	}
}

// finish prints the line of a package.
func finish(out io.Writer, e event, logs map[string]*strings.Builder, failedTests int, sum *totals) {
	words := map[string]string{"pass": "ok  ", "fail": "FAIL", "skip": "none"}
	if e.Action != "skip" { // no test files
		fmt.Fprintf(out, "%s %s  %.1f s\n", words[e.Action], e.Package, e.Elapsed)
	}
	if e.Action != "fail" || failedTests > 0 {
		return
	}
	sum.failed++
	// Whatever was said by or for the package explains it.
	var keys []string
	for key := range logs {
		if strings.HasPrefix(key, e.Package+" ") || key == "build "+e.FailedBuild {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		fmt.Fprint(out, indented(logs[key].String()))
		delete(logs, key)
	}
}

// indented returns text moved to the right.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// lastWords returns the reason in a skipped test's output: its last line that is
// not one of the test framework's.
func lastWords(text string) string {
	words := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			words = line
		}
	}
	return words
}
