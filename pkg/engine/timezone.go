package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Where the host keeps its zone, and all zones.
const (
	localTime   = "/etc/localtime"
	zoneInfoDir = "/usr/share/zoneinfo"
)

// readTimeZone returns the zone file --tz names: a zone of the host's database,
// or "local".
func readTimeZone(name string) ([]byte, error) {
	path := localTime
	if name != "local" {
		if strings.HasPrefix(name, "/") || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("time zone %q: give a name as Europe/Berlin, or local", name)
		}
		path = filepath.Join(zoneInfoDir, name)
	}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == "local":
		return nil, nil // the host keeps UTC without saying so
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("unknown time zone %q: %s has none of this name (is Debian's tzdata installed?)", name, zoneInfoDir)
	case err != nil:
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	case len(b) < 4 || string(b[:4]) != "TZif":
		return nil, fmt.Errorf("time zone %q: %s is not a zone file", name, path)
	}
	return b, nil
}
