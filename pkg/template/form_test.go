package template

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"vpod/pkg/qemu"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// ordinaryMachine is a container's, as the engine plans it.
func ordinaryMachine() qemu.Machine {
	return qemu.Machine{
		Name: "vpod-web", Board: qemu.BoardQ35, Accel: qemu.AccelTCG,
		MemoryBytes: 512 << 20, CPUs: 2,
		Kernel: "/usr/lib/vpod/vmlinux", Initrd: "/usr/lib/vpod/initramfs.cpio",
		KernelArgs: []string{"lpj=21000000", "quiet"},
		Disks: []qemu.Disk{
			{ID: "root", Path: "/data/images/1.erofs", ReadOnly: true, Serial: "root"},
			{ID: "scratch", Path: "/data/containers/2/scratch.img", Cache: qemu.CacheUnsafe, Serial: "scratch"},
		},
		NIC: &qemu.NIC{MAC: "16:90:3a:39:11:8d", MTU: 65520, User: &qemu.UserNet{
			Network: "10.0.2.0/24", Forwards: []qemu.Forward{{Protocol: "tcp", HostPort: 8080, GuestPort: 80}},
		}},
		HotplugPorts: 4,
	}
}

func TestForms(t *testing.T) {
	placeholder := func(d qemu.Disk) string { return "/cache/draft/" + d.ID + ".img" }
	m := ordinaryMachine()
	alone := ordinaryMachine()
	alone.NIC, alone.Board, alone.HotplugPorts, alone.Disks = nil, qemu.BoardMicroVM, 0, alone.Disks[:1]
	shared := ordinaryMachine()
	shared.Disks, shared.Shares = nil, []qemu.Share{{Tag: "root", Kind: qemu.Share9P, Path: "/merged"}}
	tests := []struct {
		name string
		form qemu.Machine
	}{
		{"source", Source(m, "/cache/draft/ram", placeholder, "/cache/draft/share")},
		{"clone", Clone(m, "/cache/key/ram")},
		{"source-shared", Source(shared, "/cache/draft/ram", placeholder, "/cache/draft/share")},
		{"clone-shared", Clone(shared, "/cache/key/ram")},
		{"source-microvm", Source(alone, "/cache/draft/ram", placeholder, "/cache/draft/share")},
		{"clone-microvm", Clone(alone, "/cache/key/ram")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.MarshalIndent(tt.form, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", tt.name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s differs (go test ./pkg/template -update rewrites it):\n got:\n%s\nwant:\n%s", file, got, want)
			}
			if err := tt.form.Validate(); err != nil {
				t.Errorf("Validate = %v", err)
			}
		})
	}
	// Both leave the machine they were given alone.
	if m.NIC.User == nil || m.NIC.Unconnected || m.Disks[0].Path != "/data/images/1.erofs" || m.Kernel == "" {
		t.Errorf("the machine was changed: %+v", m)
	}
}

func TestRefusal(t *testing.T) {
	tests := []struct {
		name    string
		shares  []qemu.Share
		refused bool
	}{
		{"disks", nil, false},
		{"virtiofs", []qemu.Share{{Tag: "root", Kind: qemu.ShareVirtioFS}}, true},
		{"9p", []qemu.Share{{Tag: "root", Kind: qemu.Share9P, Path: "/x"}}, false},
	}
	for _, tt := range tests {
		m := ordinaryMachine()
		m.Shares = tt.shares
		if why := Refusal(m); (why != "") != tt.refused {
			t.Errorf("%s: Refusal = %q, want refused: %t", tt.name, why, tt.refused)
		}
	}
}
