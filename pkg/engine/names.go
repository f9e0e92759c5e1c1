package engine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"sync"

	"github.com/docker/docker/pkg/namesgenerator"
)

// idDigits is the length of an id.
const idDigits = 64

// newID returns 64 random hex digits. The first twelve are never all decimal
// digits: shells and humans would take such a short id for a number.
func newID() string {
	for {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		id := hex.EncodeToString(b[:])
		for _, c := range id[:12] {
			if c >= 'a' {
				return id
			}
		}
	}
}

// namePattern is what Podman accepts as a name (libpod/define, NameRegex).
var namePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
})

// checkName refuses a name that could not be told from an option, a path or an
// image reference.
func checkName(name string) error {
	if !namePattern().MatchString(name) {
		return fmt.Errorf("invalid container name %q: names must match %s", name, namePattern())
	}
	return nil
}

// proposeName returns a random name; the database decides whether it is free.
func proposeName(attempt int) string { return namesgenerator.GetRandomName(attempt) }
