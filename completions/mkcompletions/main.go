// Command mkcompletions writes vpod's completion scripts, by the names under
// which the shells look for them: bash/vpod, zsh/_vpod and fish/vpod.fish. They
// are kept in the repository, and a test here tells when they are out of date.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"vpod/pkg/cli"
)

func main() {
	dir := flag.String("o", "completions", "directory to write to")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "mkcompletions:", err)
		os.Exit(1)
	}
}

// files maps each shell to its script's place.
func files() map[string]string {
	return map[string]string{
		"bash": filepath.Join("bash", "vpod"),
		"zsh":  filepath.Join("zsh", "_vpod"),
		"fish": filepath.Join("fish", "vpod.fish"),
	}
}

func write(dir string) error {
	for shell, file := range files() {
		var script bytes.Buffer
		if err := cli.GenerateCompletion(&script, shell); err != nil {
			return err
		}
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, script.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
