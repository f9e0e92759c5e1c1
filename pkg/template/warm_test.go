package template

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

func TestWarmProgramRuns(t *testing.T) {
	if f, err := elf.NewFile(bytes.NewReader(WarmProgram())); err != nil || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		t.Errorf("elf.NewFile = %+v, %v", f, err)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("it is a program for linux/amd64")
	}
	path := filepath.Join(t.TempDir(), "warm")
	if err := os.WriteFile(path, WarmProgram(), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "an argument")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("it ends with %v and says %q", err, out)
	}
}
