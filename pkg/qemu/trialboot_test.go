package qemu

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a process that plays QEMU.
type script struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer // to be read after the end
	done   chan struct{}
	err    error
}

// starter starts a program in place of QEMU.
func starter(program string) StartFunc {
	return func(_ context.Context, args []string, files []*os.File) (Process, error) {
		s := &script{cmd: exec.Command(program, args...), stderr: &bytes.Buffer{}, done: make(chan struct{})}
		s.cmd.ExtraFiles, s.cmd.Stderr = files, s.stderr
		if err := s.cmd.Start(); err != nil {
			return nil, err
		}
		go func() { s.err = s.cmd.Wait(); close(s.done) }()
		return s, nil
	}
}

func (s *script) Kill()                        { _ = s.cmd.Process.Kill(); <-s.done }
func (s *script) Wait(_ context.Context) error { <-s.done; return s.err }
func (s *script) Stderr() string               { <-s.done; return s.stderr.String() }

// TestTrialBoot plays QEMU with a script that talks on the console's descriptor.
func TestTrialBoot(t *testing.T) {
	tests := []struct {
		name, script string
		want         string // part of the error; empty means booted
	}{
		{"reaches its first process", `echo "[    0.5] Run /init as init process" >&3; exec sleep 1000`, ""},
		{"reaches the missing root", `echo "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)" >&3`, ""},
		{"mark in two halves", `printf "Run /init as " >&3; sleep 0.05; echo "init process" >&3; exec sleep 1000`, ""},
		{"aborts", `echo "qemu: error: failed to set MSR 0x10a" >&2; exit 134`, "failed to set MSR 0x10a"},
		{"panics early", `echo "Linux version 6.12" >&3; printf 'Kernel panic - not syncing: \033[1mno timer\r\n' >&3`, `"Kernel panic - not syncing: [1mno timer"`},
		{"hangs in silence", `exec sleep 1000`, "said nothing"},
		{"hangs late", `echo "Calibrating delay loop..." >&3; exec sleep 1000`, `"Calibrating delay loop..."`},
		{"floods the console", `yes noise | head -c 200000 >&3; echo "Run /init as init process" >&3; exec sleep 1000`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fake := filepath.Join(t.TempDir(), "qemu")
			if err := os.WriteFile(fake, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			limit := 10 * time.Second
			if strings.Contains(tt.name, "hangs") {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := TrialBoot(starter(fake), baseMachine(BoardQ35, AccelKVM))(ctx)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("trial boot: %v; want %q", err, tt.want)
			}
		})
	}
}

func TestTrialBootOfABadMachine(t *testing.T) {
	m := baseMachine(BoardQ35, AccelKVM)
	m.Kernel = ""
	if err := TrialBoot(starter("/nonexistent"), m)(t.Context()); err == nil || !strings.Contains(err.Error(), "Kernel") {
		t.Errorf("trial boot: %v; want the missing kernel", err)
	}
}
