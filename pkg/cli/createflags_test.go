package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// parseCreate reads the arguments of create.
func parseCreate(t *testing.T, cfg config.Config, args ...string) (container.Spec, engine.CreateOptions, error) {
	t.Helper()
	var f createFlags
	flags := pflag.NewFlagSet("create", pflag.ContinueOnError)
	f.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		return container.Spec{}, engine.CreateOptions{}, err
	}
	return f.spec(flags.Args(), surroundings{config: &cfg, environ: []string{"HOME=/home/u", "LC_ALL=C.UTF-8", "LC_TIME=C"}})
}

// plainConfig is containers.conf as most hosts have it.
var plainConfig = config.Config{PidsLimit: 2048, StopTimeoutSeconds: 10, LogDriver: "k8s-file"}

// plainSpec is what `create img` comes to.
func plainSpec() container.Spec {
	return container.Spec{
		Network:            container.Network{Mode: container.NetworkUser},
		Log:                container.Log{Driver: "k8s-file"},
		Limits:             container.Limits{Pids: 2048},
		StopTimeoutSeconds: 10,
		Restart:            container.RestartPolicy{Name: "no"},
	}
}

func TestCreateFlagsToSpec(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want func(*container.Spec, *engine.CreateOptions)
	}{
		{"nothing", nil, nil},
		{"name", []string{"--name", "web", "--replace"}, func(s *container.Spec, o *engine.CreateOptions) { s.Name, o.Replace = "web", true }},
		{"rm", []string{"--rm"}, func(s *container.Spec, _ *engine.CreateOptions) { s.AutoRemove = true }},
		{"rm with the policy that never restarts", []string{"--rm", "--restart", "no"}, func(s *container.Spec, _ *engine.CreateOptions) { s.AutoRemove = true }},
		{"restart", []string{"--restart=on-failure:3"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Restart = container.RestartPolicy{Name: "on-failure", MaxRetries: 3}
		}},
		{"init", []string{"--init"}, func(s *container.Spec, _ *engine.CreateOptions) { s.Init = true }},
		{"stopping", []string{"--stop-signal", "usr1", "--stop-timeout", "0", "--timeout", "7"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.StopSignal, s.StopTimeoutSeconds, s.TimeoutSeconds = "SIGUSR1", 0, 7
		}},
		{"stop signal by number", []string{"--stop-signal", "2"}, func(s *container.Spec, _ *engine.CreateOptions) { s.StopSignal = "SIGINT" }},
		{"real-time stop signal", []string{"--stop-signal", "RTMIN+3"}, func(s *container.Spec, _ *engine.CreateOptions) { s.StopSignal = "RTMIN+3" }},
		{"env", []string{"-e", "A=1", "-e", "HOME", "-e", "LC_*", "-e", "NOT_HERE", "-e", "E=", "-e", "A=2=3"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Process.Env = []string{"A=2=3", "E=", "HOME=/home/u", "LC_ALL=C.UTF-8", "LC_TIME=C"}
		}},
		{"process", []string{"-w", "/srv", "-u", "app:1000", "--group-add", "video,27", "-it", "--umask", "27"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Process = container.Process{WorkDir: "/srv", User: "app:1000", Groups: []string{"video", "27"}, Terminal: true, Interactive: true, Umask: "0027"}
		}},
		{"hostname and zone", []string{"-h", "box.example.com", "--tz", "local"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Hostname, s.TZ = "box.example.com", "local"
		}},
		{"entrypoint", []string{"--entrypoint", "/bin/x y"}, func(s *container.Spec, o *engine.CreateOptions) {
			s.Process.Entrypoint, o.EntrypointSet = []string{"/bin/x y"}, true
		}},
		{"entrypoint as a list", []string{"--entrypoint", `["a","b c"]`}, func(s *container.Spec, o *engine.CreateOptions) {
			s.Process.Entrypoint, o.EntrypointSet = []string{"a", "b c"}, true
		}},
		{"entrypoint [", []string{"--entrypoint", "["}, func(s *container.Spec, o *engine.CreateOptions) {
			s.Process.Entrypoint, o.EntrypointSet = []string{"["}, true
		}},
		{"no entrypoint", []string{"--entrypoint="}, func(_ *container.Spec, o *engine.CreateOptions) { o.EntrypointSet = true }},
		{"labels", []string{"-l", "a=b=c", "--label", "d", "--annotation", "x=1,y=2"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Labels, s.Annotations = map[string]string{"a": "b=c", "d": ""}, map[string]string{"x": "1", "y": "2"}
		}},
		{"root file system", []string{"--rootfs-mode", "virtiofs", "--read-only", "--shm-size", "1m", "--storage-opt", "size=20g", "--tmpfs", "/t/:size=64m,mode=1777", "--tmpfs", "/u:notmpcopyup,ro"},
			func(s *container.Spec, _ *engine.CreateOptions) {
				s.Rootfs = container.Rootfs{Mode: "virtiofs", ReadOnly: true, ShmBytes: 1 << 20, SizeBytes: 20 << 30, Tmpfs: []container.Tmpfs{
					{Path: "/t", Options: []string{"size=64m", "mode=1777"}}, {Path: "/u", Options: []string{"notmpcopyup", "ro"}},
				}}
			}},
		{"machine", []string{"-m", "1.5g", "--cpus", "1.5", "--kernel-arg", "a=b", "--kernel-arg", "quiet", "--machine", "microvm", "--accel", "tcg"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Machine = container.Machine{MemoryBytes: 3 << 29, CPUs: 1.5, KernelArgs: []string{"a=b", "quiet"}, Board: "microvm", Accel: "tcg"}
		}},
		{"limits", []string{"--pids-limit", "5", "--ulimit", "nofile=10:20", "--ulimit", "core=-1", "--ulimit", "memlock=unlimited:unlimited", "--sysctl", "net.core.somaxconn=1"},
			func(s *container.Spec, _ *engine.CreateOptions) {
				s.Limits = container.Limits{Pids: 5, Ulimits: []container.Ulimit{{Name: "core", Soft: -1, Hard: -1}, {Name: "memlock", Soft: -1, Hard: -1}, {Name: "nofile", Soft: 10, Hard: 20}}}
				s.Sysctls = map[string]string{"net.core.somaxconn": "1"}
			}},
		{"no pids limit", []string{"--pids-limit", "-1"}, func(s *container.Spec, _ *engine.CreateOptions) { s.Limits.Pids = 0 }},
		{"network none", []string{"--network", "none"}, func(s *container.Spec, _ *engine.CreateOptions) { s.Network.Mode = container.NetworkNone }},
		{"network by its other name", []string{"--net=none"}, func(s *container.Spec, _ *engine.CreateOptions) { s.Network.Mode = container.NetworkNone }},
		{"ports", []string{"-p", "8080:80", "-p", "127.0.0.1::53/udp,9000-9001:90-91"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Network.Ports = []container.PortMapping{
				{HostPort: 8080, ContainerPort: 80, Range: 1, Protocol: "tcp"},
				{HostIP: "127.0.0.1", ContainerPort: 53, Range: 1, Protocol: "udp"},
				{HostPort: 9000, ContainerPort: 90, Range: 2, Protocol: "tcp"},
			}
		}},
		{"hosts and DNS", []string{"--add-host", "a:10.0.0.1", "--add-host", "b:fd00::1", "--add-host", "c:host-gateway", "--dns", "9.9.9.9", "--dns-option", "ndots:2", "--dns-search", "example.com"},
			func(s *container.Spec, _ *engine.CreateOptions) {
				s.Network.AddHosts = []string{"a:10.0.0.1", "b:fd00::1", "c:host-gateway"}
				s.Network.DNS, s.Network.DNSOptions, s.Network.DNSSearch = []string{"9.9.9.9"}, []string{"ndots:2"}, []string{"example.com"}
			}},
		{"files of the image", []string{"--no-hosts", "--dns", "none"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Network.NoHosts, s.Network.DNS = true, []string{"none"}
		}},
		{"log", []string{"--log-driver", "json-file", "--log-opt", "max-size=10mb", "--log-opt", "path=/var/log/x", "--log-opt", "tag=t"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Log = container.Log{Driver: "json-file", Path: "/var/log/x", MaxSizeBytes: 10_000_000, Tag: "t"}
		}},
		{"capabilities", []string{"--cap-add", "net_admin,CAP_SYS_TIME", "--cap-drop", "all", "--privileged"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Process.CapAdd, s.Process.CapDrop, s.Privileged = []string{"net_admin", "CAP_SYS_TIME"}, []string{"all"}, true
		}},
		{"security options", []string{"--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "--security-opt", "mask=/a:/b", "--security-opt", "unmask=ALL", "--security-opt", "label=disable"},
			func(s *container.Spec, _ *engine.CreateOptions) {
				s.Process.NoNewPrivileges, s.Process.Seccomp = true, "unconfined"
				s.Process.Mask, s.Process.Unmask = []string{"/a", "/b"}, []string{"ALL"}
				s.Process.SecurityOpt = []string{"no-new-privileges", "seccomp=unconfined", "mask=/a:/b", "unmask=ALL", "label=disable"}
			}},
		{"security options as Docker has them", []string{"--security-opt", "no-new-privileges:false"}, func(s *container.Spec, _ *engine.CreateOptions) {
			s.Process.SecurityOpt = []string{"no-new-privileges:false"}
		}},
		{"pulling", []string{"--pull", "newer", "--platform", "linux/arm64/v8", "--tls-verify=false"}, func(_ *container.Spec, o *engine.CreateOptions) {
			off := false
			o.Pull = engine.PullOptions{Policy: "newer", Platform: engine.Platform{OS: "linux", Arch: "arm64", Variant: "v8"}, TLSVerify: &off}
		}},
		{"architecture alone", []string{"--arch", "riscv64"}, func(_ *container.Spec, o *engine.CreateOptions) { o.Pull.Platform.Arch = "riscv64" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec, opts, err := parseCreate(t, plainConfig, append(tt.args, "img", "cmd", "--rm", "-x")...)
			if err != nil {
				t.Fatalf("create %v: %v", tt.args, err)
			}
			want, wantOpts := plainSpec(), engine.CreateOptions{Image: "img"}
			if tt.want != nil {
				tt.want(&want, &wantOpts)
			}
			want.Process.Command = []string{"cmd", "--rm", "-x"}
			if !reflect.DeepEqual(normal(t, spec), normal(t, want)) {
				t.Errorf("create %v:\n got %s\nwant %s", tt.args, normal(t, spec), normal(t, want))
			}
			if !reflect.DeepEqual(opts, wantOpts) {
				t.Errorf("create %v:\n got %+v\nwant %+v", tt.args, opts, wantOpts)
			}
		})
	}
}

// normal is a spec as it is stored, where empty and missing are one.
func normal(t *testing.T, spec container.Spec) string {
	t.Helper()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCreateTakesDefaultsOfContainersConf(t *testing.T) {
	cfg := config.Config{
		PidsLimit: 7, StopTimeoutSeconds: 3, LogDriver: "none", LogMaxSizeBytes: 5, Init: true,
		Ulimits: []string{"nofile=1:2", "core=0"}, DNSServers: []string{"1.1.1.1"}, DNSSearches: []string{"a"}, DNSOptions: []string{"b"},
	}
	spec, _, err := parseCreate(t, cfg, "--ulimit", "core=9", "img")
	if err != nil {
		t.Fatal(err)
	}
	want := plainSpec()
	want.Limits = container.Limits{Pids: 7, Ulimits: []container.Ulimit{{Name: "core", Soft: 9, Hard: 9}, {Name: "nofile", Soft: 1, Hard: 2}}}
	want.StopTimeoutSeconds, want.Init = 3, true
	want.Log = container.Log{Driver: "none", MaxSizeBytes: 5}
	want.Network.DNS, want.Network.DNSSearch, want.Network.DNSOptions = []string{"1.1.1.1"}, []string{"a"}, []string{"b"}
	if normal(t, spec) != normal(t, want) {
		t.Errorf("got  %s\nwant %s", normal(t, spec), normal(t, want))
	}
	spec, _, err = parseCreate(t, cfg, "--init=false", "--stop-timeout=0", "--pids-limit=0", "--dns=none", "img")
	if err != nil {
		t.Fatal(err)
	}
	if spec.Init || spec.StopTimeoutSeconds != 0 || spec.Limits.Pids != 0 || len(spec.Network.DNSSearch) != 0 {
		t.Errorf("explicit zeros lose against containers.conf: %s", normal(t, spec))
	}
}

func TestCreateReadsFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := write("env", "# comment\n\n  A=file\nB=file \nHOME\nMISSING\n")
	labels := write("labels", "x=file\n y\n")
	profile := write("profile.json", `{"defaultAction": "SCMP_ACT_ALLOW"}`)
	kernel := write("vmlinux", "ELF")
	auth := write("auth.json", "{}")
	spec, opts, err := parseCreate(t, plainConfig, "-e", "A=flag", "--env-file", env, "--label-file", labels, "-l", "x=flag",
		"--security-opt", "seccomp="+profile, "--kernel", kernel, "--authfile", auth, "--cidfile", filepath.Join(dir, "cid"), "img")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spec.Process.Env, []string{"A=flag", "B=file ", "HOME=/home/u"}; !reflect.DeepEqual(got, want) {
		t.Errorf("env %q, want %q", got, want)
	}
	if got, want := spec.Labels, map[string]string{"x": "flag", "y": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("labels %q, want %q", got, want)
	}
	if spec.Process.Seccomp != profile || string(spec.Process.SeccompProfile) != `{"defaultAction": "SCMP_ACT_ALLOW"}` {
		t.Errorf("seccomp %q, %s", spec.Process.Seccomp, spec.Process.SeccompProfile)
	}
	if spec.Machine.Kernel != kernel || opts.Pull.AuthFile != auth {
		t.Errorf("kernel %q, auth file %q", spec.Machine.Kernel, opts.Pull.AuthFile)
	}
}

func TestUlimitHost(t *testing.T) {
	spec, _, err := parseCreate(t, plainConfig, "--ulimit", "host", "--ulimit", "nofile=1:1", "img")
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Limits.Ulimits) != len(rlimits) {
		t.Errorf("%d limits, want %d", len(spec.Limits.Ulimits), len(rlimits))
	}
	for _, u := range spec.Limits.Ulimits {
		if u.Name == "nofile" && u.Soft != 1 {
			t.Errorf("host overrides a limit named later: %+v", u)
		}
	}
}

func TestCreateRefusesBadValues(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list.json")
	if err := os.WriteFile(list, []byte("[1]"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ args, want string }{
		{"--rm --restart always", "--rm conflicts with --restart always"},
		{"--replace", "--replace needs --name"},
		{"--restart maybe", `--restart: unknown restart policy "maybe"`},
		{"--stop-signal FOO", `--stop-signal "FOO": no such signal`},
		{"--stop-signal 99", `--stop-signal "99": no such signal`},
		{"--stop-timeout -3", "stop-timeout"},
		{"-e =x", `--env: invalid environment variable "=x"`},
		{"--env-file /nonexistent", "--env-file: open /nonexistent"},
		{"-w rel", `--workdir "rel"`},
		{"-u :1", `--user ":1"`},
		{"--group-add keep-groups", "--group-add keep-groups"},
		{"--group-add a:b", `--group-add "a:b"`},
		{"--group-add=", `--group-add ""`},
		{"--umask 9", `--umask "9"`},
		{"--umask 1000", `--umask "1000"`},
		{"--tz Foo/Bar", `--tz "Foo/Bar"`},
		{"--tz ../etc", `--tz "../etc"`},
		{"-h a..b", `--hostname "a..b"`},
		{"-h -a", `--hostname "-a"`},
		{"-h " + strings.Repeat("a", 65), "64 characters at most"},
		{`--entrypoint ["a"`, `--entrypoint ["a": not a JSON array`},
		{"-l =x", `--label: invalid label "=x"`},
		{"--annotation x", `--annotation "x": the form is KEY=VALUE`},
		{"--cap-add FOO", "--cap-add"},
		{"--security-opt foo", "--security-opt foo: no such security option"},
		{"--security-opt label=type:x", "no SELinux"},
		{"--security-opt apparmor=x", "no AppArmor"},
		{"--security-opt proc-opts=hidepid=2", "--security-opt proc-opts"},
		{"--security-opt no-new-privileges=maybe", "true or false"},
		{"--security-opt seccomp=", "give unconfined"},
		{"--security-opt seccomp=/nonexistent", "/nonexistent"},
		{"--security-opt seccomp=" + list, "not a JSON object"},
		{"--security-opt mask=a", `"a" is not an absolute path`},
		{"--security-opt unmask=/a:", `"" is not an absolute path`},
		{"--rootfs-mode nfs", "choose from disk, virtiofs, 9p"},
		{"--tmpfs rel", `"rel" must be an absolute path`},
		{"--tmpfs /", `"/" must be an absolute path`},
		{"--tmpfs /a:frob", `mount option "frob"`},
		{"--tmpfs /a:size=1x", `mount option "size=1x"`},
		{"--tmpfs /a --tmpfs /a/", "named twice"},
		{"--shm-size x", `--shm-size "x": not a size`},
		{"--storage-opt foo=1", "--storage-opt foo=1: no such option"},
		{"--storage-opt size=0", `--storage-opt size "0": not a size`},
		{"-m x", `--memory "x": not a size`},
		{"-m -1", "--memory"},
		{"--cpus -1", "--cpus -1"},
		{"--cpus NaN", "--cpus NaN"},
		{"--kernel /nonexistent", "--kernel: open /nonexistent"},
		{"--kernel " + dir, "not a regular file"},
		{"--kernel-arg=", `--kernel-arg ""`},
		{"--machine pc", "choose from q35, microvm"},
		{"--accel xen", "choose from auto, kvm, tcg"},
		{"--pids-limit -2", "--pids-limit -2"},
		{"--ulimit foo=1", `--ulimit: "foo=1"`},
		{"--ulimit nofile=2:1", "nofile=2:1"},
		{"--ulimit nofile=-1:1", "nofile=-1:1"},
		{"--sysctl foo", `--sysctl "foo"`},
		{"--network host", "--network host: the container's machine has a network stack of its own"},
		{"--network container:x", "--network container:x"},
		{"--network bridge", "vpod makes no bridges"},
		{"--network pasta:-t,auto", "--network pasta:-t,auto"},
		{"--network mynet", "networks with names"},
		{"--network none --network user", "name one"},
		{"-p foo", "--publish: invalid port mapping"},
		{"-p 80:80 -p 80:81", "already taken by 0.0.0.0:80->80/tcp"},
		{"-p 80-90:80-90 -p 127.0.0.1:85:1", "already taken"},
		{"--add-host foo", `--add-host "foo": the form is NAME:IP`},
		{"--add-host a:b", `"b" is not an IP address`},
		{"--no-hosts --add-host a:1.2.3.4", "--no-hosts and --add-host"},
		{"--dns foo", `--dns "foo"`},
		{"--dns none --dns 1.1.1.1", "--dns none"},
		{"--dns-search=", ""},
		{"--network none --dns 1.1.1.1", "--network none"},
		{"--log-driver foo", `--log-driver "foo": no such driver`},
		{"--log-driver journald", "journald"},
		{"--log-driver passthrough", "passthrough"},
		{"--log-opt foo=1", "--log-opt foo=1: no such option"},
		{"--log-opt max-size=x", "--log-opt max-size=x: not a size"},
		{"--log-opt path", `--log-opt "path": the form is NAME=VALUE`},
		{"--log-driver none --log-opt tag=x", "nothing is kept"},
		{"--pull foo", "choose from always, missing, newer, never"},
		{"--platform linux", `--platform "linux"`},
		{"--platform linux/", `--platform "linux/"`},
		{"--platform linux/arm64 --arch arm64", "--platform cannot be combined"},
		{"--authfile /nonexistent", "--authfile"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, _, err := parseCreate(t, plainConfig, append(strings.Fields(tt.args), "img")...)
			if tt.want == "" {
				if err != nil {
					t.Errorf("create %s: %v", tt.args, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("create %s: error %v, want one with %q", tt.args, err, tt.want)
			}
		})
	}
}

func TestPortsThatDoNotOverlap(t *testing.T) {
	for _, args := range []string{
		"-p 80:80/tcp -p 80:80/udp", "-p 127.0.0.1:80:80 -p 127.0.0.2:80:80", "-p 80 -p 80", "-p 80:80 -p 81:80",
	} {
		if _, _, err := parseCreate(t, plainConfig, append(strings.Fields(args), "img")...); err != nil {
			t.Errorf("create %s: %v", args, err)
		}
	}
}
