// Command probe is what make bench runs inside containers: it times work with files
// by the clock of the container, prints at full speed, and spins. It is linked
// statically, so that it runs in every image, and knows nothing of vpod.
//
//	probe files        times the work with /bench and prints it as JSON
//	probe print BYTES  prints lines of 64 bytes
//	probe spin ROUNDS  computes, without system calls
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "files":
		return files("/bench", "/tmp")
	case len(args) == 2 && args[0] == "print":
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		return write(os.Stdout, n)
	case len(args) == 2 && args[0] == "spin":
		n, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return err
		}
		fmt.Println(spin(n))
		return nil
	}
	return fmt.Errorf("usage: probe files | print BYTES | spin ROUNDS")
}

// files times its steps in this order: the first of each kind finds nothing in this
// kernel's cache, if the kernel is the container's own.
func files(from, to string) error {
	out := map[string]float64{}
	steps := []struct {
		name string
		work func() (float64, error)
	}{
		{"random", func() (float64, error) { return readRandom(filepath.Join(from, "random"), 4000) }},
		{"sequential", func() (float64, error) { return readAll(filepath.Join(from, "sequential")) }},
		{"sequential-again", func() (float64, error) { return readAll(filepath.Join(from, "sequential")) }},
		{"walk", func() (float64, error) { return walk(filepath.Join(from, "tree")) }},
		{"walk-again", func() (float64, error) { return walk(filepath.Join(from, "tree")) }},
		{"untar", func() (float64, error) { return untar(filepath.Join(from, "small.tar"), to) }},
	}
	for _, s := range steps {
		v, err := s.work()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		out[s.name] = v
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// readAll returns MiB/s.
func readAll(path string) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	total, start := 0, time.Now()
	for {
		n, err := f.Read(buf)
		total += n
		if err == io.EOF {
			return float64(total) / (1 << 20) / time.Since(start).Seconds(), nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// readRandom reads blocks of 4 KiB at random places, each once, and returns µs for
// one. The kernel is told not to read ahead.
func readRandom(path string, count int) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	const advRandom = 1 // POSIX_FADV_RANDOM
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, advRandom, 0, 0); errno != 0 {
		return 0, errno
	}
	places := rand.New(rand.NewPCG(1, 1)).Perm(int(info.Size() / 4096))
	if len(places) < count {
		return 0, fmt.Errorf("%s is too small", path)
	}
	buf := make([]byte, 4096)
	start := time.Now()
	for _, at := range places[:count] {
		if _, err := f.ReadAt(buf, int64(at)*4096); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start).Microseconds()) / float64(count), nil
}

// walk looks at every file below a directory, as `git status` and `find -type f`
// with stat do, and returns ms.
func walk(dir string) (float64, error) {
	count, start := 0, time.Now()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		count++
		_, err = d.Info()
		return err
	})
	took := float64(time.Since(start).Microseconds()) / 1000
	if err == nil && count == 0 {
		err = fmt.Errorf("%s is empty", dir)
	}
	return took, err
}

// untar runs `tar x` and returns ms.
func untar(archive, dir string) (float64, error) {
	start := time.Now()
	if out, err := exec.Command("tar", "-x", "-f", archive, "-C", dir).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return float64(time.Since(start).Microseconds()) / 1000, nil
}

// write writes n bytes of lines of 64 bytes, 64 KiB at a time.
func write(w io.Writer, n int64) error {
	lines := []byte(strings.Repeat(strings.Repeat("0123456789abcdef", 4)[:63]+"\n", 1024))
	for n > 0 {
		m, err := w.Write(lines[:min(n, int64(len(lines)))])
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}

// spin is a fixed number of instructions.
func spin(rounds uint64) uint64 {
	x := uint64(88172645463325252)
	for range rounds { // xorshift64
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}
