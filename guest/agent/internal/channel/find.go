package channel

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Waiter waits for something to have changed among the machine's devices; see
// package device.
type Waiter interface {
	// Until calls ready, again after every change, until it reports true or ctx
	// is done.
	Until(ctx context.Context, ready func() bool) error
}

// Find returns the path of the device of the virtio-serial port with the given
// name, waiting for the kernel to have found it.
func Find(ctx context.Context, name string, w Waiter) (string, error) {
	var found string
	err := w.Until(ctx, func() bool {
		found = lookup("/sys/class/virtio-ports", name)
		return found != ""
	})
	if err != nil {
		return "", fmt.Errorf("virtio-serial port %q: %w", name, err)
	}
	return "/dev/" + found, nil
}

// lookup returns the entry of dir whose file name holds name, or "". A port's
// name comes in a message of its own: the file may not be there yet.
func lookup(dir, name string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		b, err := os.ReadFile(dir + "/" + e.Name() + "/name")
		if err == nil && strings.TrimSuffix(string(b), "\n") == name {
			return e.Name()
		}
	}
	return ""
}
