// Command vpod-build builds images for `vpod build`, which becomes it. It is a
// program of its own so that no other command carries the build library:
// docs/design/build.md.
package main

import (
	"os"

	"vpod/pkg/builder"
)

func main() {
	if builder.Init() {
		return
	}
	os.Exit(builder.Main(os.Args[1:]))
}
