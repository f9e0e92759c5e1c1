// Package builder makes images of Containerfiles with the library Buildah is made of.
// Every RUN step runs in a virtual machine: the library starts it through vpod's own
// OCI runtime. It is the body of the program vpod-build, which `vpod build` becomes
// once it has read its options; nothing else calls it.
//
// The options are the library's, and so are their meanings; Refused names those that
// cannot work with machines. It needs a process that may open the image store.
package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/containers/buildah"
	"github.com/containers/buildah/define"
	"github.com/containers/buildah/imagebuildah"
	buildahcli "github.com/containers/buildah/pkg/cli"
	"github.com/containers/image/v5/storage"
	cstorage "github.com/containers/storage"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Init must be main's first call. It reports true when this process was a helper
// of the library, which has done its work.
func Init() bool {
	logrus.SetLevel(logrus.WarnLevel)
	return buildah.InitReexec()
}

// Place is where a build works; vpod hands it over in these options, ahead of the
// user's own.
type Place struct {
	Vpod    string // vpod's executable: the runtime
	Root    string // of the image store; "" is storage.conf's
	RunRoot string
	Work    string // directory for what the build leaves for its own time
}

// Main carries out one command line and returns the exit code.
func Main(args []string) int {
	cmd := Command()
	cmd.SetArgs(args)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	return exitCode(err)
}

// exitCode is the exit code of a build that failed: of the step that did, as of Podman's
// build, or what a shell reports for a program that a signal ended.
func exitCode(err error) int {
	var exit *exec.ExitError
	var interrupted *interruptError
	switch {
	case errors.As(err, &interrupted):
		return 128 + int(interrupted.signal)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	return failure
}

// interruptError is the cause of a build that a signal ended.
type interruptError struct{ signal syscall.Signal }

func (e *interruptError) Error() string { return "interrupted by signal: " + e.signal.String() }

// failure is the exit code of a build that failed otherwise (podman-build(1)).
const failure = 125

// Command is the program's one command, with the library's options.
func Command() *cobra.Command {
	var place Place
	iopts := buildahcli.BuildOptions{
		LayerResults: &buildahcli.LayerResults{}, BudResults: &buildahcli.BudResults{}, UserNSResults: &buildahcli.UserNSResults{},
		FromAndBudResults: &buildahcli.FromAndBudResults{}, NameSpaceResults: &buildahcli.NameSpaceResults{},
	}
	cmd := &cobra.Command{
		Use: "vpod-build", SilenceErrors: true, SilenceUsage: true, Args: cobra.MaximumNArgs(1),
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd, args, iopts, place)
		},
	}
	f := cmd.Flags()
	f.StringVar(&place.Vpod, "vpod", "", "")
	f.StringVar(&place.Root, "vpod-root", "", "")
	f.StringVar(&place.RunRoot, "vpod-runroot", "", "")
	f.StringVar(&place.Work, "vpod-work", "", "")
	bud, layers := buildahcli.GetBudFlags(iopts.BudResults), buildahcli.GetLayerFlags(iopts.LayerResults)
	from, err := buildahcli.GetFromAndBudFlags(iopts.FromAndBudResults, iopts.UserNSResults, iopts.NameSpaceResults)
	if err != nil {
		cmd.RunE = func(*cobra.Command, []string) error { return err } // containers.conf cannot be read
	}
	for _, set := range []*pflag.FlagSet{&bud, &layers, &from} {
		f.AddFlagSet(set)
	}
	f.SetNormalizeFunc(buildahcli.AliasFlags)
	// Podman keeps the layers of a build unless told otherwise (podman-build(1)).
	if _, asked := os.LookupEnv("BUILDAH_LAYERS"); !asked {
		iopts.Layers = true
		f.Lookup("layers").DefValue = "true"
	}
	return cmd
}

// run is one build.
func run(cmd *cobra.Command, args []string, iopts buildahcli.BuildOptions, place Place) error {
	if iopts.Logfile != "" {
		log, err := os.OpenFile(iopts.Logfile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("--logfile: %w", err)
		}
		defer log.Close()
		iopts.Logwriter = log
	}
	network := iopts.Network
	if err := checkNetwork(network); err != nil {
		return err
	}
	if err := checkSecurity(iopts.SecurityOpt); err != nil {
		return err
	}
	iopts.Isolation = "oci"
	if err := cmd.Flags().Set("isolation", "oci"); err != nil {
		return err
	}
	if !cmd.Flag("layers").Changed {
		if err := cmd.Flags().Set("layers", fmt.Sprint(iopts.Layers)); err != nil { // it falls back to Buildah's default else
			return err
		}
	}
	options, files, temporary, err := buildahcli.GenBuildOptions(cmd, args, iopts)
	if err != nil {
		return err
	}
	defer func() {
		for _, name := range temporary {
			os.RemoveAll(name)
		}
	}()
	store, err := openStore(place)
	if err != nil {
		return err
	}
	defer func() { _, _ = store.Shutdown(false) }()
	b, err := begin(place, store)
	if err != nil {
		return err
	}
	defer b.end()
	ctx, cancel := b.untilInterrupted(cmd.Context())
	defer cancel()
	b.adapt(&options, network)
	if err := b.shareMachines(&options, files); err != nil {
		return err
	}
	_, _, err = imagebuildah.BuildDockerfiles(ctx, store, options, files...)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return explainForeign(err, options.Platforms)
}

// explainForeign adds to the failure of a step what may be behind it when the image
// is for another architecture.
func explainForeign(err error, platforms []struct{ OS, Arch, Variant string }) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	for _, p := range platforms {
		if p.Arch != "" && p.Arch != runtime.GOARCH {
			return fmt.Errorf("%w: steps run on the host's architecture, %s: for %s/%s a RUN cannot work, COPY, ENV and their like do", err, runtime.GOARCH, p.OS, p.Arch)
		}
	}
	return err
}

// checkNetwork refuses networks that machines do not have.
func checkNetwork(network string) error {
	switch network {
	case "", "default", "private", "none":
		return nil
	}
	return fmt.Errorf("--network %s: a step has vpod's user-mode network, or with --network none no network", network)
}

// checkSecurity refuses what would be left out in silence: the library is built without
// seccomp, and the machines' kernel has no AppArmor.
func checkSecurity(options []string) error {
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		if (name == "seccomp" || name == "apparmor") && value != "unconfined" {
			return fmt.Errorf("--security-opt %s: a step's calls reach no kernel but its machine's, and are not filtered: leave the option out, or bound the step with --cap-drop", o)
		}
	}
	return nil
}

// adapt has the library run steps in machines.
func (b *job) adapt(o *define.BuildOptions, network string) {
	o.Runtime = b.place.Vpod
	o.RuntimeArgs = []string{"oci", "--root", b.runtimeRoot(), "--leash", fmt.Sprint(os.Getpid())}
	o.Isolation = define.IsolationOCI
	o.ContainerSuffix = containerMark + b.token
	// Without a namespace of its own the runtime gives the machine vpod's network, and
	// the library, to which that is the host's, writes hosts and resolv.conf. Disabled
	// means a namespace of its own, with nothing in it.
	connected := network != "none"
	namespaces := define.NamespaceOptions(o.NamespaceOptions)
	namespaces.AddOrReplace(define.NamespaceOption{Name: string(specs.NetworkNamespace), Host: connected})
	o.NamespaceOptions, o.ConfigureNetwork = namespaces, define.NetworkDisabled
	if connected {
		o.ConfigureNetwork = define.NetworkEnabled
	}
}

// openStore opens the image store the rest of vpod uses.
func openStore(place Place) (cstorage.Store, error) {
	o, err := cstorage.DefaultStoreOptions()
	if err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	if place.Root != "" {
		o.GraphRoot = place.Root
	}
	if place.RunRoot != "" {
		o.RunRoot = place.RunRoot
	}
	store, err := cstorage.GetStore(o)
	if err != nil {
		return nil, fmt.Errorf("open the image store: %w", err)
	}
	storage.Transport.SetStore(store)
	return store, nil
}

// untilInterrupted returns a context that INT, TERM or HUP ends; the machines of
// the build go at once, so that the step under way ends and the library cleans up.
func (b *job) untilInterrupted(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		select {
		case sig := <-signals:
			signal.Stop(signals)                          // the next one ends the process as usual
			cancel(&interruptError{sig.(syscall.Signal)}) // nothing else is sent
			b.endMachines()
		case <-done:
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel(nil) }
}

// endMachines ends what runs in machines of this build.
func (b *job) endMachines() {
	oci := func(args ...string) *exec.Cmd {
		return exec.Command(b.place.Vpod, append([]string{"oci", "--root", b.runtimeRoot()}, args...)...)
	}
	out, err := oci("list", "--quiet").Output()
	if err != nil {
		return
	}
	for _, id := range strings.Fields(string(out)) {
		_ = oci("kill", id, "KILL").Run() // the step sees its end
	}
}

// runtimeRoot is where the build's machines are kept.
func (b *job) runtimeRoot() string { return filepath.Join(b.dir, "oci") }
