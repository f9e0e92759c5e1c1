// Command mkinitramfs packs a built guest agent into the initramfs that vpod
// boots its machines with:
//
//	go run ./guest/initramfs/mkinitramfs -agent FILE -o OUT
//
// The Makefile calls it after building the agent. OUT appears whole or not at
// all, and is left untouched when it already holds the same bytes, so that what
// depends on it (templates among them) stays valid.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"vpod/guest/initramfs"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "mkinitramfs:", err)
		}
		os.Exit(2)
	}
}

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("mkinitramfs", flag.ContinueOnError)
	flags.SetOutput(stderr)
	agent := flags.String("agent", "", "the static agent `binary` that becomes /init")
	out := flags.String("o", "", "the archive `file` to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *agent == "" || *out == "" || flags.NArg() != 0 {
		return errors.New("usage: mkinitramfs -agent FILE -o OUT")
	}
	return pack(*agent, *out)
}

// pack writes the archive of the agent at agentPath to outPath.
func pack(agentPath, outPath string) (err error) {
	agent, err := os.Open(agentPath)
	if err != nil {
		return fmt.Errorf("open agent: %w", err)
	}
	defer agent.Close()
	info, err := agent.Stat()
	if err != nil {
		return fmt.Errorf("stat agent: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("agent %s is not a regular file", agentPath)
	}

	tmp, err := os.CreateTemp(filepath.Dir(outPath), "."+filepath.Base(outPath)+".*")
	if err != nil {
		return fmt.Errorf("create archive: %w", err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	buf := bufio.NewWriterSize(tmp, 1<<20)
	if err := initramfs.Write(buf, agent, info.Size()); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if same, err := sameContent(tmp, outPath); err != nil {
		return err
	} else if same {
		return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
	}
	if err := tmp.Chmod(0o644); err != nil {
		return fmt.Errorf("set mode of archive: %w", err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("sync archive: %w", err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("close archive: %w", err)
	}
	if err := os.Rename(tmp.Name(), outPath); err != nil {
		return fmt.Errorf("put archive in place: %w", err)
	}
	return nil
}

// sameContent reports whether the file at path holds what was written to tmp.
func sameContent(tmp *os.File, path string) (bool, error) {
	old, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read former archive: %w", err)
	}
	fresh, err := os.ReadFile(tmp.Name())
	if err != nil {
		return false, fmt.Errorf("read archive back: %w", err)
	}
	return bytes.Equal(old, fresh), nil
}
