package image

import (
	"fmt"
	"os"
	"strings"
)

// testChild is what this test binary does when a test starts it as a child.
func testChild(what string) int {
	f := strings.Fields(what)
	switch f[0] {
	case "mount":
		return mountAndDie(f[1], f[2], f[3])
	case "lock":
		return lockUntilEOF(f[1])
	}
	fmt.Fprintln(os.Stderr, "no such child:", what)
	return 1
}
