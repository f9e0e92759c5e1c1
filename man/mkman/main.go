// Command mkman writes vpod's man pages to a directory.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"vpod/man"
	"vpod/pkg/engine"
)

func main() {
	dir := flag.String("o", "build/man", "directory to write to")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "mkman:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	pages, err := man.Pages(engine.Release)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
			return err
		}
	}
	return nil
}
