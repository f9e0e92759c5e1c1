package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Room for kernel and agent to grow by while containers run: buffers of streams,
// of the network, of disks.
const (
	leastRoom = 4 << 20
	roomShare = 128 // of the machine's memory, in addition
	mostRoom  = 32 << 20
)

// Reserve returns how many bytes of the machine's memory containers may not use,
// so that they meet the limits of their groups before the machine's memory ends:
// what kernel and agent have taken by now, what the kernel keeps free (both are
// missing in MemAvailable), and some room. meminfo is /proc/meminfo; no container
// may be there yet.
func Reserve(meminfo string) (int64, error) {
	b, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, fmt.Errorf("memory in use: %w", err)
	}
	var total, available int64
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch key {
		case "MemTotal":
			total = n << 10
		case "MemAvailable":
			available = n << 10
		}
	}
	if total <= 0 || available <= 0 || available > total {
		return 0, errors.New("memory in use: " + meminfo + " does not say")
	}
	room := min(leastRoom+total/roomShare, mostRoom)
	return total - available + min(room, available/2), nil
}
