package engine

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/qemu"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares v, as JSON, with a file of testdata.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update and look at the difference):\n%s", path, got)
	}
}

func testFacts() hostFacts {
	return hostFacts{
		Files:       paths.Container{Data: "/data/c", Run: "/run/c"},
		QEMU:        "/usr/bin/qemu-system-x86_64",
		Accel:       qemu.AccelTCG,
		HostCPUs:    8,
		Kernel:      "/lib/vpod/vmlinux",
		Initramfs:   "/lib/vpod/initramfs.cpio",
		KernelArgs:  []string{"tsc_early_khz=2000000"},
		ImageDisk:   "/data/images/1.erofs",
		Seccomp:     []byte{1, 2, 3},
		BootTimeout: time.Minute,
		Release:     []string{"/usr/bin/vpod", "release", testID},
		Network: networkFacts{
			Monitor: monitor.Network{Mode: container.NetworkUser},
			NIC:     &qemu.NIC{MAC: "52:54:00:00:00:01", User: &qemu.UserNet{}},
			Guest:   []agentproto.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Addresses: []string{"10.0.2.15/24"}, Gateways: []string{"10.0.2.2"}}},
			Files:   []agentproto.File{{Path: "/etc/hostname", Mode: 0o644, Data: []byte("web\n")}},
		},
	}
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*container.Spec, *hostFacts)
	}{
		{"plain", nil},
		{"everything", func(s *container.Spec, h *hostFacts) {
			s.Process.User, s.Process.CapAdd = "app", []string{"CAP_CHOWN"}
			s.Process.Terminal, s.Process.Interactive, s.Process.NoNewPrivileges = true, true, true
			s.Process.Umask, s.Process.Groups = "0077", []string{"extra"}
			s.Process.Mask, s.Process.Unmask = []string{"/proc/version"}, []string{"/proc/*"}
			s.Rootfs.Tmpfs = []container.Tmpfs{{Path: "/scratch", Options: []string{"size=1m"}}}
			s.Limits = container.Limits{Pids: 100, Ulimits: []container.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}}
			s.Machine.CPUs, s.Machine.KernelArgs = 1.5, []string{"debug"}
			s.Sysctls = map[string]string{"kernel.msgmax": "1"}
			s.Restart = container.RestartPolicy{Name: "on-failure", MaxRetries: 3}
			s.StopTimeoutSeconds, s.TimeoutSeconds, s.AutoRemove, s.Init = 3, 9, true, true
			h.TimeZone = []byte("TZif2")
		}},
		{"read-only", func(s *container.Spec, _ *hostFacts) { s.Rootfs.ReadOnly, s.Image.Volumes = true, nil }},
		{"read-only-volumes", func(s *container.Spec, _ *hostFacts) {
			s.Rootfs.ReadOnly, s.Image.Volumes = true, []string{"/data/", "relative", "/tmp", "/scratch"}
			s.Rootfs.Tmpfs = []container.Tmpfs{{Path: "/scratch"}}
		}},
		{"privileged", func(s *container.Spec, h *hostFacts) { s.Privileged, h.Seccomp = true, nil }},
		{"shared", func(s *container.Spec, h *hostFacts) { s.Rootfs.Mode, h.ShareDir = container.Rootfs9p, "/merged" }},
		{"virtiofs", func(s *container.Spec, h *hostFacts) {
			s.Rootfs.Mode, h.ShareDir, h.Virtiofsd = container.RootfsVirtiofs, "/merged", "/usr/lib/qemu/virtiofsd"
		}},
		{"microvm", func(s *container.Spec, _ *hostFacts) { s.Machine.Board = "microvm" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec, err := resolve(testSpec(), testImage(), testConfig(), CreateOptions{Image: "app:1"})
			if err != nil {
				t.Fatal(err)
			}
			spec.Log = container.Log{Driver: "k8s-file", Path: "/data/c/ctr.log"}
			facts := testFacts()
			if tt.change != nil {
				tt.change(&spec, &facts)
			}
			orders, err := plan(spec, facts)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "launch-"+tt.name, orders)
		})
	}
}
