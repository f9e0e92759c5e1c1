package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/pkg/unixsock"
)

// VirtiofsdConfig is what virtiofsd is told.
type VirtiofsdConfig struct {
	Dir      string // the shared directory, absolute
	Cache    string // "auto" (default), "always" or "none": how long the guest trusts what it has read
	OpenFile uint64 // limit of open files; 0 is OpenFileLimit
}

// VirtiofsdArgs returns virtiofsd's arguments but for the socket, which
// StartVirtiofsd adds. They fit the C program of QEMU 7.2; the Rust one that came
// after it takes them as its compatibility options.
//
// It must run as root, of the host or of a user namespace: it creates files with
// the owners the guest asks for, and shuts itself up in the shared directory by
// namespaces of its own.
func VirtiofsdArgs(c VirtiofsdConfig) []string {
	cache := c.Cache
	if cache == "" {
		cache = "auto"
	}
	return []string{
		"-f",
		"-o", "source=" + escapeFuseOption(c.Dir),
		"-o", "sandbox=namespace",
		"-o", "cache=" + cache,
		"-o", "xattr",
		"-o", "announce_submounts",
		// Its default, a million, takes CAP_SYS_RESOURCE to set.
		"--rlimit-nofile=" + strconv.FormatUint(c.OpenFile, 10),
	}
}

// escapeFuseOption protects what separates options in libfuse's -o.
func escapeFuseOption(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(s)
}

// maxOpenFiles is what virtiofsd asks for by itself; more is of no use.
const maxOpenFiles = 1_000_000

// OpenFileLimit returns the highest limit of open files a process started by
// this one may set without privileges.
func OpenFileLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("get limit of open files: %w", err)
	}
	return min(limit.Max, maxOpenFiles), nil
}

// Virtiofsd is a running virtiofsd.
type Virtiofsd struct {
	*Process

	// Socket is QEMU's end of the vhost-user connection. The caller hands it to
	// QEMU and closes it; virtiofsd ends when it is closed everywhere.
	Socket *os.File
}

// StartVirtiofsd starts virtiofsd and connects to it. socket is a path in a
// private directory, used for the time of the call; it may be longer than a
// socket address.
func StartVirtiofsd(ctx context.Context, s *Spawner, path string, c VirtiofsdConfig, socket string) (v *Virtiofsd, err error) {
	if info, err := os.Stat(c.Dir); err != nil {
		return nil, fmt.Errorf("share a directory: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("share %s: it is not a directory", c.Dir)
	}
	if c.OpenFile == 0 {
		if c.OpenFile, err = OpenFileLimit(); err != nil {
			return nil, err
		}
	}
	listener, err := unixsock.Listen(socket)
	if err != nil {
		return nil, fmt.Errorf("start virtiofsd: %w", err)
	}
	defer func() {
		_ = listener.Close()
		if rmErr := os.Remove(socket); rmErr != nil {
			err = errors.Join(err, fmt.Errorf("remove virtiofsd's socket: %w", rmErr))
		}
	}()
	end, err := listener.File()
	if err != nil {
		return nil, fmt.Errorf("start virtiofsd: %w", err)
	}
	defer end.Close()
	// Connected before it starts: the connection waits in the listener's queue.
	conn, err := unixsock.Dial(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("start virtiofsd: %w", err)
	}
	defer conn.Close()
	file, err := conn.File()
	if err != nil {
		return nil, fmt.Errorf("start virtiofsd: %w", err)
	}
	process, err := s.Start(ctx, Command{
		Name:  "virtiofsd",
		Path:  path,
		Args:  append([]string{"--fd=3"}, VirtiofsdArgs(c)...),
		Files: []*os.File{end},
	})
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Virtiofsd{Process: process, Socket: file}, nil
}
