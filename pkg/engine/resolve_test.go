package engine

import (
	"slices"
	"strings"
	"testing"

	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/image"
	"vpod/pkg/qemu"
)

// testID is a container id for tests.
const testID = "aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999"

func testConfig() *config.Config {
	return &config.Config{
		Capabilities: []string{"CAP_CHOWN", "CAP_KILL", "CAP_SETUID"},
		Env:          []string{"PATH=/default"},
		PidsLimit:    2048,
		ShmBytes:     64 << 20,
		Sysctls:      []string{"net.ipv4.ping_group_range=0 0"},
		Umask:        "0022",
	}
}

func testImage() image.Image {
	return image.Image{
		ID: strings.Repeat("1", 64), Name: "localhost/app:1", Names: []string{"localhost/app:1"},
		Digest: "sha256:" + strings.Repeat("2", 64), OS: "linux", Arch: "amd64",
		Config: ociv1.ImageConfig{
			Env: []string{"PATH=/image", "FROM=image"}, Entrypoint: []string{"/entry"}, Cmd: []string{"arg"},
			User: "app", WorkingDir: "/work", StopSignal: "SIGQUIT", Labels: map[string]string{"a": "image", "b": "image"},
			ExposedPorts: map[string]struct{}{"80/tcp": {}}, Volumes: map[string]struct{}{"/v2": {}, "/v1": {}},
		},
	}
}

func testSpec() container.Spec { return container.Spec{ID: testID, Name: "web"} }

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*container.Spec, *image.Image, *CreateOptions)
		check  func(t *testing.T, s container.Spec)
	}{
		{"the image's own words", nil, func(t *testing.T, s container.Spec) {
			if got := strings.Join(s.Process.Args(), " "); got != "/entry arg" {
				t.Errorf("args = %q, want entrypoint and command of the image", got)
			}
			if s.Process.User != "app" || s.Process.WorkDir != "/work" || s.StopSignal != "SIGQUIT" {
				t.Errorf("user %q, workdir %q, stop signal %q: want the image's", s.Process.User, s.Process.WorkDir, s.StopSignal)
			}
			if s.Hostname != testID[:12] {
				t.Errorf("hostname = %q, want the short id", s.Hostname)
			}
			if !slices.Equal(s.Image.Volumes, []string{"/v1", "/v2"}) {
				t.Errorf("volumes = %q, want them sorted", s.Image.Volumes)
			}
		}},
		{"a command replaces the image's command", func(s *container.Spec, _ *image.Image, _ *CreateOptions) {
			s.Process.Command = []string{"other"}
		}, func(t *testing.T, s container.Spec) {
			if got := strings.Join(s.Process.Args(), " "); got != "/entry other" {
				t.Errorf("args = %q", got)
			}
		}},
		{"an entrypoint drops the image's command", func(s *container.Spec, _ *image.Image, o *CreateOptions) {
			s.Process.Entrypoint, o.EntrypointSet = []string{"/mine"}, true
		}, func(t *testing.T, s container.Spec) {
			if got := strings.Join(s.Process.Args(), " "); got != "/mine" {
				t.Errorf("args = %q, want the entrypoint alone", got)
			}
		}},
		{"environments lie over each other", func(s *container.Spec, _ *image.Image, _ *CreateOptions) {
			s.Process.Env = []string{"FROM=user"}
		}, func(t *testing.T, s container.Spec) {
			want := []string{"FROM=user", "HOSTNAME=" + testID[:12], "PATH=/image", "TERM=xterm", "container=vpod"}
			if !slices.Equal(s.Process.Env, want) {
				t.Errorf("env = %q, want %q", s.Process.Env, want)
			}
		}},
		{"labels lie over the image's", func(s *container.Spec, _ *image.Image, _ *CreateOptions) {
			s.Labels = map[string]string{"b": "user"}
		}, func(t *testing.T, s container.Spec) {
			if s.Labels["a"] != "image" || s.Labels["b"] != "user" {
				t.Errorf("labels = %v", s.Labels)
			}
		}},
		{"capabilities are added and dropped", func(s *container.Spec, _ *image.Image, _ *CreateOptions) {
			s.Process.CapAdd, s.Process.CapDrop = []string{"net_admin"}, []string{"CAP_KILL"}
		}, func(t *testing.T, s container.Spec) {
			want := []string{"CAP_CHOWN", "CAP_NET_ADMIN", "CAP_SETUID"}
			if !slices.Equal(s.Process.Capabilities, want) {
				t.Errorf("capabilities = %q, want %q", s.Process.Capabilities, want)
			}
		}},
		{"privileged has all of them and no filter", func(s *container.Spec, _ *image.Image, _ *CreateOptions) {
			s.Privileged = true
		}, func(t *testing.T, s container.Spec) {
			if !slices.Contains(s.Process.Capabilities, "CAP_SYS_ADMIN") || s.Process.Seccomp != "unconfined" {
				t.Errorf("capabilities %q, seccomp %q", s.Process.Capabilities, s.Process.Seccomp)
			}
		}},
		{"sizes are filled in", nil, func(t *testing.T, s container.Spec) {
			if s.Machine.MemoryBytes != config.MemoryBytes || s.Rootfs.SizeBytes != config.ScratchBytes || s.Rootfs.ShmBytes != 64<<20 {
				t.Errorf("memory %d, scratch %d, shm %d", s.Machine.MemoryBytes, s.Rootfs.SizeBytes, s.Rootfs.ShmBytes)
			}
			if s.Machine.Board != "q35" || s.Machine.Accel != "auto" {
				t.Errorf("board %q, accel %q", s.Machine.Board, s.Machine.Accel)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec, img, opts := testSpec(), testImage(), CreateOptions{Image: "app:1"}
			if tt.change != nil {
				tt.change(&spec, &img, &opts)
			}
			got, err := resolve(spec, img, testConfig(), opts)
			if err != nil {
				t.Fatal(err)
			}
			tt.check(t, got)
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*container.Spec, *image.Image)
		want   string
	}{
		{"no command at all", func(_ *container.Spec, i *image.Image) { i.Config.Entrypoint, i.Config.Cmd = nil, nil }, "no command or entrypoint"},
		{"another processor", func(_ *container.Spec, i *image.Image) { i.Arch = "arm64" }, "linux/arm64"},
		{"another system", func(_ *container.Spec, i *image.Image) { i.OS = "windows" }, "windows"},
		{"too little memory", func(s *container.Spec, _ *image.Image) { s.Machine.MemoryBytes = 4 << 20 }, "the least that works is"},
		{"too many processors", func(s *container.Spec, _ *image.Image) { s.Machine.CPUs = 1000 }, "--cpus 1000"},
		{"unknown stop signal", func(s *container.Spec, _ *image.Image) { s.StopSignal = "SIGNOPE" }, "SIGNOPE"},
		{"unknown capability", func(s *container.Spec, _ *image.Image) { s.Process.CapAdd = []string{"NOPE"} }, "NOPE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec, img := testSpec(), testImage()
			tt.change(&spec, &img)
			_, err := resolve(spec, img, testConfig(), CreateOptions{Image: "app:1"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("resolve: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestVCPUs(t *testing.T) {
	for _, tt := range []struct {
		asked float64
		accel qemu.Accel
		want  int
	}{
		{0, qemu.AccelTCG, 1}, {0, qemu.AccelKVM, 8}, {1.5, qemu.AccelTCG, 2}, {3, qemu.AccelKVM, 3},
	} {
		if got := vcpus(tt.asked, tt.accel, 8); got != tt.want {
			t.Errorf("vcpus(%g, %s, 8) = %d, want %d", tt.asked, tt.accel, got, tt.want)
		}
	}
}
