package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// refusal is why a flag that Podman knows is not taken, and what to do instead.
// Nothing is parsed and ignored: a script learns at once that it would not get
// what it asks for.
type refusal struct {
	flags  []string // long names, and single letters where Podman has them
	verbs  []string // commands it holds for; nil is all of them
	reason string
	hint   string // may be empty
}

var (
	creating = []string{"run", "create"}
	onlyMake = []string{"create"}
)

// refusals is the table behind the error for each such flag. A flag that vpod
// takes is never looked up here.
func refusals() []refusal {
	return []refusal{
		// Files of the host.
		{[]string{"volume", "v", "mount", "volumes-from"}, creating, "sharing directories and volumes with the machine is not there yet", "for scratch space use --tmpfs; data goes in and out through standard input and output"},
		{[]string{"image-volume"}, creating, "volumes of the image live on the container's own disk, and go with it", "leave the option out"},
		{[]string{"rootfs"}, creating, "a container's root file system comes from an image", "make one first, as with `buildah from scratch`"},
		{[]string{"chrootdirs"}, creating, "it serves bind mounts of the host, which vpod has none of", "leave the option out"},
		{[]string{"secret"}, creating, "secrets are not there yet", "give the value with --env-file, or on standard input"},
		{[]string{"preserve-fds"}, nil, "descriptors of the host cannot be passed into a virtual machine", "use standard input and output with -i"},
		{[]string{"overlay"}, creating, "the writable layer is always an overlay on the container's own disk", "leave the option out"},

		// Namespaces: the machine is the boundary.
		{[]string{"pid", "ipc", "uts", "cgroupns"}, creating, "a container has its own kernel, so there is no namespace of the host or of another container to join", "leave the option out: each container has its own"},
		{[]string{"userns", "uidmap", "gidmap", "subuidname", "subgidname"}, creating, "ids in the container are those of its own kernel and map to none of the host's", "leave the option out"},
		{[]string{"hostuser", "passwd", "passwd-entry"}, creating, "users of the host are not added to the container", "use --user with a number, or a name of the image"},
		{[]string{"pod", "pod-id-file"}, creating, "pods are not there yet", ""},
		{[]string{"requires"}, creating, "dependencies between containers are not there yet", "start the containers in order"},
		{[]string{"systemd", "sdnotify"}, creating, "systemd mode and sd-notify are not there yet", ""},

		// Devices and the host's hardware.
		{[]string{"device", "device-cgroup-rule"}, creating, "the container sees the devices of its machine, not the host's", ""},
		{[]string{"gpus"}, creating, "passing a GPU to the machine is not there yet", ""},
		{[]string{"personality"}, creating, "the guest's kernel runs the container in its own personality", "leave the option out"},

		// Limits of the host's cgroups.
		{[]string{"cgroup-parent", "cgroups", "cgroup-conf"}, creating, "the container's cgroup belongs to its own kernel, not to the host's tree", "limit the machine with --memory and --cpus"},
		{[]string{"memory-swap", "memory-swappiness", "memory-reservation"}, creating, "the machine has the memory that --memory says and no swap", "use --memory"},
		{[]string{"oom-kill-disable", "oom-score-adj"}, creating, "memory ends at the machine's edge; the host's OOM killer sees one QEMU process", "give the machine more with --memory"},
		{[]string{"cpu-period", "cpu-quota", "cpu-shares", "c", "cpu-rt-period", "cpu-rt-runtime"}, creating, "the machine's share of the host's processors is set as a whole", "use --cpus, which takes fractions"},
		{[]string{"cpuset-cpus", "cpuset-mems"}, creating, "pinning the machine to processors of the host is not there yet", "start vpod under `taskset`: the machine inherits it"},
		{[]string{"blkio-weight", "blkio-weight-device", "device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops"}, creating, "block device limits of the host are not there yet", ""},

		// Network.
		{[]string{"ip", "ip6", "mac-address", "network-alias", "link-local-ip"}, creating, "addresses are those of user-mode networking; networks with names and fixed addresses are not there yet", "reach the container through --publish"},
		{[]string{"publish-all", "P", "expose"}, creating, "only the ports named by --publish are published", "use --publish HOST:CONTAINER"},
		{[]string{"http-proxy"}, creating, "proxy settings of the host are never passed on by themselves", "use --env http_proxy, --env https_proxy and --env no_proxy"},

		// Environment and start-up.
		{[]string{"env-host"}, creating, "the option is spelled differently", "use --env '*', or --env 'PREFIX*'"},
		{[]string{"env-merge", "unsetenv", "unsetenv-all"}, creating, "changing the image's variables by rule is not there yet", "set them with --env"},
		{[]string{"init-path"}, creating, "the init of --init is part of the guest's agent", "use --init alone"},
		{[]string{"seccomp-policy"}, creating, "the profile is the default one or that of --security-opt seccomp=", "use --security-opt"},
		{[]string{"runtime"}, creating, "the container runs in a machine, without an OCI runtime", "leave the option out"},
		{[]string{"conmon-pidfile", "pidfile"}, creating, "there is no conmon, and the process id belongs to another kernel", "use `vpod inspect --format '{{.State.Pid}}'` for QEMU's"},
		{[]string{"health-cmd", "health-interval", "health-on-failure", "health-retries", "health-start-period", "health-timeout", "no-healthcheck", "health-startup-cmd"}, creating, "health checks are not run yet", ""},
		{[]string{"rmi"}, creating, "the image is kept", "remove it with `vpod rmi` afterwards"},
		{[]string{"disable-content-trust"}, nil, "it has no meaning outside Docker: signatures are checked as policy.json says", "leave the option out"},
		{[]string{"creds", "cert-dir"}, creating, "it belongs to `vpod pull`", "pull the image first"},
		{[]string{"attach", "a", "detach", "d", "detach-keys", "sig-proxy"}, onlyMake, "create starts nothing", "give it to `vpod run` or `vpod start`"},

		// Other verbs.
		{[]string{"all-tags"}, []string{"pull"}, "pulling every tag of a repository at once is not there", "name the tags"},
		{[]string{"depend"}, []string{"rm"}, "containers do not depend on one another", "leave the option out"},
		{[]string{"ns", "namespace", "pod", "p"}, []string{"ps", "ls", "list"}, "there are no namespaces of the host and no pods to show", ""},
		{[]string{"external", "sync"}, []string{"ps", "ls", "list", "exists", "prune"}, "vpod shows its own containers only, always in their true state", "leave the option out"},
		{[]string{"watch", "w"}, []string{"ps", "ls", "list"}, "ps prints once", "use `watch vpod ps`"},
		{[]string{"history", "tree"}, []string{"images", "ls", "list"}, "earlier names of images are not kept", ""},
		{[]string{"uncompressed"}, []string{"save"}, "layers are saved as the format asks", "leave the option out"},
		{[]string{"debug"}, []string{"info"}, "the option's name is --log-level debug", "use `vpod --log-level debug info`"},
		{[]string{"remote", "url", "connection", "identity"}, nil, "there is no service to connect to: vpod works on this machine", "use ssh"},
		{[]string{"storage-driver", "cgroup-manager", "conmon", "network-cmd-path", "hooks-dir", "events-backend", "tmpdir", "volumepath", "transient-store", "noout", "syslog", "module"}, nil, "vpod has nothing of the kind to choose", "leave the option out; the image store follows storage.conf"},
	}
}

// refusedFlag looks up the flag that does not exist for the command verb.
func refusedFlag(verb string, unknown *pflag.NotExistError) (error, bool) {
	name, shown := unknown.GetSpecifiedName(), "--"+unknown.GetSpecifiedName()
	if shorthands := unknown.GetSpecifiedShortnames(); shorthands != "" {
		shown = "-" + name
	}
	for _, r := range refusals() {
		if (r.verbs == nil || slices.Contains(r.verbs, verb)) && slices.Contains(r.flags, name) {
			return withHint(fmt.Errorf("%s: %s", shown, r.reason), r.hint), true
		}
	}
	return nil, false
}

// withHint adds what to do about err, if anything can be done.
func withHint(err error, hint string) error {
	if hint == "" {
		return err
	}
	return &engine.HintError{Err: err, Hint: hint}
}
