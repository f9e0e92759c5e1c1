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
		{[]string{"volume", "v", "mount", "volumes-from"}, creating, "the machine sees no files of the host: vpod has no volumes and shares no directories", "for scratch space use --tmpfs; bring data in with the image (`buildah copy`), or through standard input, as `tar c . | vpod exec -i CONTAINER tar x`"},
		{[]string{"image-volume"}, creating, "volumes of the image live on the container's own disk, and go with it", "leave the option out"},
		{[]string{"rootfs"}, creating, "a container's root file system comes from an image", "make one first, as with `buildah from scratch`"},
		{[]string{"chrootdirs"}, creating, "it serves bind mounts of the host, which vpod has none of", "leave the option out"},
		{[]string{"secret"}, append([]string{"login"}, creating...), "vpod keeps no secrets", "give the value with --env-file, or on standard input"},
		{[]string{"preserve-fds"}, nil, "descriptors of the host cannot be passed into a virtual machine", "use standard input and output with -i"},
		{[]string{"read-only-tmpfs"}, creating, "with --read-only, /run, /tmp and /var/tmp always are temporary file systems", "leave the option out"},
		{[]string{"overlay"}, creating, "the writable layer is always an overlay on the container's own disk", "leave the option out"},

		// Namespaces: the machine is the boundary.
		{[]string{"pid", "ipc", "uts", "cgroupns"}, creating, "a container has its own kernel, so there is no namespace of the host or of another container to join", "leave the option out: each container has its own"},
		{[]string{"userns", "uidmap", "gidmap", "subuidname", "subgidname"}, creating, "ids in the container are those of its own kernel and map to none of the host's", "leave the option out"},
		{[]string{"hostuser", "passwd", "passwd-entry"}, creating, "users of the host are not added to the container", "use --user with a number, or a name of the image"},
		{[]string{"pod", "pod-id-file", "init-ctr"}, creating, "vpod has no pods: a machine holds one container", "let containers reach one another through published ports, at the host's address: --add-host NAME:host-gateway"},
		{[]string{"requires"}, creating, "vpod keeps no dependencies between containers", "start the containers in order"},
		{[]string{"systemd", "sdnotify"}, creating, "vpod prepares a container for no service manager, and the host's cannot be notified from another kernel", "leave the option out"},

		// Devices and the host's hardware.
		{[]string{"device", "device-cgroup-rule"}, creating, "the container sees the devices of its machine, not the host's", "leave the option out; --privileged gives it all devices of the machine"},
		{[]string{"gpus"}, creating, "the machine has no GPU, and gets none of the host's", "leave the option out"},
		{[]string{"personality"}, creating, "the guest's kernel runs the container in its own personality", "leave the option out"},

		// Limits of the host's cgroups.
		{[]string{"cgroup-parent", "cgroups", "cgroup-conf"}, creating, "the container's cgroup belongs to its own kernel, not to the host's tree", "limit the machine with --memory and --cpus"},
		{[]string{"memory-swap", "memory-swappiness", "memory-reservation"}, creating, "the machine has the memory that --memory says and no swap", "use --memory"},
		{[]string{"oom-kill-disable", "oom-score-adj"}, creating, "memory ends at the machine's edge; the host's OOM killer sees one QEMU process", "give the machine more with --memory"},
		{[]string{"cpu-period", "cpu-quota", "cpu-shares", "c", "cpu-rt-period", "cpu-rt-runtime"}, creating, "the machine's share of the host's processors is set as a whole", "use --cpus, which takes fractions"},
		{[]string{"cpuset-cpus", "cpuset-mems"}, creating, "the machine is not pinned to processors of the host by vpod", "start vpod under `taskset`: the machine inherits it"},
		{[]string{"blkio-weight", "blkio-weight-device", "device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops"}, creating, "the container's disk is a file of the host, whose use vpod does not limit", "start vpod in a cgroup with such limits, as by systemd-run(1): the machine stays in it"},

		// Network.
		{[]string{"ip", "ip6", "mac-address", "network-alias", "link-local-ip"}, creating, "addresses are those of user-mode networking, the same in every machine", "reach the container through --publish"},
		{[]string{"publish-all", "P", "expose"}, creating, "only the ports named by --publish are published", "use --publish HOST:CONTAINER"},
		{[]string{"http-proxy"}, creating, "proxy settings of the host are never passed on by themselves", "use --env http_proxy, --env https_proxy and --env no_proxy"},

		// Environment and start-up.
		{[]string{"env-host"}, creating, "the option is spelled differently", "use --env '*', or --env 'PREFIX*'"},
		{[]string{"env-merge", "unsetenv", "unsetenv-all"}, creating, "variables of the image can be replaced, not edited or removed", "set them with --env, or run the command under `env -u NAME`"},
		{[]string{"init-path"}, creating, "the init of --init is part of the guest's agent", "use --init alone"},
		{[]string{"seccomp-policy"}, creating, "the profile is the default one or that of --security-opt seccomp=", "use --security-opt"},
		{[]string{"runtime"}, creating, "the container runs in a machine, without an OCI runtime", "leave the option out"},
		{[]string{"conmon-pidfile", "pidfile"}, creating, "there is no conmon, and the process id belongs to another kernel", "use `vpod inspect --format '{{.State.Pid}}'` for QEMU's"},
		{[]string{"health-cmd", "health-interval", "health-on-failure", "health-retries", "health-start-period", "health-timeout", "no-healthcheck", "health-startup-cmd"}, creating, "vpod runs no health checks", "run the check with `vpod exec`, from a timer"},
		{[]string{"rmi"}, creating, "the image is kept", "remove it with `vpod rmi` afterwards"},
		{[]string{"disable-content-trust"}, nil, "it has no meaning outside Docker: signatures are checked as policy.json says", "leave the option out"},
		{[]string{"attach", "a", "detach", "d", "detach-keys", "sig-proxy"}, onlyMake, "create starts nothing", "give it to `vpod run` or `vpod start`"},

		// Other verbs.
		{[]string{"include-volumes"}, []string{"commit"}, "the only volumes of a container are those its image declares, and they are always declared in the new image, too", "leave the option out"},
		{[]string{"volumes"}, []string{"prune"}, "the volumes of a container live on its own disk, and go with it", "leave the option out"},
		{[]string{"depend"}, []string{"rm"}, "containers do not depend on one another", "leave the option out"},
		{[]string{"ns", "namespace", "pod", "p"}, []string{"ps", "ls", "list"}, "there are no namespaces of the host and no pods to show", ""},
		{[]string{"external", "sync"}, []string{"ps", "ls", "list", "exists"}, "vpod shows its own containers only, always in their true state", "leave the option out"},
		{[]string{"watch", "w"}, []string{"ps", "ls", "list"}, "ps prints once", "use `watch vpod ps`"},
		{[]string{"pid", "ipc", "uts", "cgroupns", "userns", "userns-uid-map", "userns-gid-map", "userns-uid-map-user", "userns-gid-map-group"}, []string{"build"}, "each step has its own kernel, so there is no namespace of the host to join", "leave the option out"},
		{[]string{"device", "isolation", "runtime", "runtime-flag", "hooks-dir", "cgroup-parent"}, []string{"build"}, "steps run in virtual machines, by vpod itself", "leave the option out"},
		{[]string{"cpu-period", "cpu-quota", "cpu-shares", "c", "cpuset-cpus", "cpuset-mems", "memory-swap"}, []string{"build"}, "a step's machine has one size as a whole", "bound it with --memory"},
		{[]string{"sbom", "sbom-image-output", "sbom-image-purl-output", "sbom-merge-strategy", "sbom-output", "sbom-purl-output", "sbom-scanner-command", "sbom-scanner-image"}, []string{"build"}, "no scanner is run over what is built", "scan the image afterwards, as one saved by `vpod save`"},
		{[]string{"cw"}, []string{"build"}, "images for confidential machines are made by hosts that have such", "leave the option out"},
		{[]string{"compress", "disable-content-trust", "loglevel"}, []string{"build"}, "it has no effect in Podman", "leave the option out"},
		{[]string{"tree"}, []string{"images", "ls", "list"}, "the list is not drawn as a tree", "use `vpod image tree IMAGE`"},
		{[]string{"debug"}, []string{"info"}, "the option's name is --log-level debug", "use `vpod --log-level debug info`"},
		{[]string{"r", "c", "ssh"}, []string{"vpod"}, "there is no service to connect to: vpod works on this machine", "use ssh"},
		{[]string{"namespace", "network-config-dir", "runtime", "runtime-flag", "storage-opt"}, []string{"vpod"}, "vpod has nothing of the kind to choose", "leave the option out; the image store follows storage.conf"},
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

// refusedCommand is why a command that Podman has is not there, and what to use
// in its place. It holds for groups, too: `container cp` as `cp`.
type refusedCommand struct {
	names  []string
	reason string
	hint   string
}

// refusedCommands is the table behind the error for each such command. One that
// vpod has is never looked up here.
func refusedCommands() []refusedCommand {
	return []refusedCommand{
		{[]string{"cp", "mount", "unmount", "umount"}, "the container's files are its machine's alone while it is there, and the host never reads its disk", "with the container running: `vpod exec CONTAINER tar c DIR`, and `vpod exec -i CONTAINER tar x` the other way"},
		{[]string{"top"}, "the processes are another kernel's", "use `vpod exec CONTAINER ps`"},
		{[]string{"stats"}, "the container's use is another kernel's to count", "use `vpod exec CONTAINER top -b -n 1`, or look at QEMU, whose process id `vpod inspect --format '{{.State.Pid}}'` prints"},
		{[]string{"events"}, "vpod has no daemon and keeps no events", "use `vpod wait` for the end of containers, and `vpod ps` for what there is"},
		{[]string{"healthcheck"}, "vpod runs no health checks", "run the check with `vpod exec`"},
		{[]string{"checkpoint", "restore"}, "containers are not saved and restored", "use `vpod pause` and `vpod unpause`, or `vpod stop` and `vpod start`: the container keeps its disk"},
		{[]string{"rename", "update", "clone"}, "what a container was made with does not change", "create another, with --replace in the place of the first"},
		{[]string{"init", "cleanup"}, "a machine is made ready when the container starts, and goes when it ends", "use `vpod start`"},
		{[]string{"runlabel"}, "vpod does not run commands that an image brings for the host", "use `vpod inspect` to see the label"},
		{[]string{"network"}, "vpod has no networks to manage: each machine has one of its own", "use --network and --publish of `vpod run`"},
		{[]string{"volume", "secret"}, "vpod keeps nothing but images and containers", "data in the container lasts as long as that; for values use --env-file"},
		{[]string{"pod", "kube", "play", "generate"}, "vpod has no pods: a machine holds one container", "run the containers one by one"},
		{[]string{"machine"}, "vpod needs no machine beforehand: each container gets its own", "use `vpod run`"},
		{[]string{"auto-update"}, "vpod has no daemon that would look for newer images", "use `vpod run --pull newer --replace`"},
		{[]string{"unshare"}, "images are in the same user namespace as Podman's", "use `podman unshare` or `buildah unshare`"},
		{[]string{"connection", "service"}, "there is no service to connect to: vpod works on this machine", "use ssh"},
		{[]string{"migrate", "renumber", "reset"}, "vpod keeps its state in one directory", "`vpod info` names it, `vpod ps --all --size` shows what containers take, `vpod images` what images do"},
	}
}

// refusedVerb looks up a command that does not exist.
func refusedVerb(name string) (refusedCommand, bool) {
	for _, r := range refusedCommands() {
		if slices.Contains(r.names, name) {
			return r, true
		}
	}
	return refusedCommand{}, false
}
