// Command vpod runs containers, each in a virtual machine of its own.
//
// All there is to it lies in pkg/cli; this file only gives way to the helpers
// that the image store starts under the same name.
package main

import (
	"os"

	"vpod/pkg/cli"
	"vpod/pkg/engine"
)

func main() {
	if engine.Init() {
		return
	}
	os.Exit(cli.Main(os.Args, began()))
}
