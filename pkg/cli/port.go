package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

type portFlags struct {
	all    bool
	latest bool
}

func (f *portFlags) addFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.all, "all", "a", false, "Show the ports of all running containers")
	flags.BoolVarP(&f.latest, "latest", "l", false, "Show the ports of the container created last")
}

func newPortCommand(app *App) *cobra.Command {
	var opts portFlags
	cmd := &cobra.Command{
		Use:   "port [options] CONTAINER [PORT]",
		Short: "Show where the ports of a container are published",
		Long:  "Prints the published ports of a running container and where on the host they are reached, or only the latter for one port.",
		Example: `  vpod port web
  vpod port web 80/tcp
  vpod port --all`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.port(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: oneWord(app.containerWords(container.Running)),
	}
	app.lazily(cmd, func() { opts.addFlags(cmd.Flags()) })
	return cmd
}

// arguments sorts out container and port.
func (f *portFlags) arguments(args []string) (name, port string, err error) {
	switch {
	case f.all && f.latest:
		return "", "", errors.New("--all and --latest cannot be used together")
	case f.all && len(args) > 0:
		return "", "", errors.New("no arguments are needed with --all")
	case f.latest && len(args) > 1:
		return "", "", errors.New("--latest and names of containers cannot be given together")
	case f.latest && len(args) == 1:
		return "", args[0], nil
	case f.all || f.latest:
		return "", "", nil
	case len(args) == 0:
		return "", "", errors.New("you must supply a running container name or id")
	case len(args) == 2:
		return args[0], args[1], nil
	}
	return args[0], "", nil
}

func (app *App) port(ctx context.Context, f *portFlags, args []string) error {
	name, wanted, err := f.arguments(args)
	if err != nil {
		return err
	}
	var number uint16
	protocol := "tcp"
	if wanted != "" {
		if number, protocol, err = parsePort(wanted); err != nil {
			return err
		}
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	if f.all {
		list, err := eng.List(ctx, engine.ListOptions{})
		if err != nil {
			return err
		}
		for _, c := range list {
			if err := app.showPorts(c.Live.Ports, c.Spec.ID[:12]+"\t"); err != nil {
				return err
			}
		}
		return nil
	}
	if f.latest {
		if name, err = app.latest(ctx, eng); err != nil {
			return err
		}
	}
	c, err := eng.Get(ctx, name)
	if err != nil {
		return err
	}
	if wanted == "" {
		return app.showPorts(c.Live.Ports, "")
	}
	found := false
	for _, p := range c.Live.Ports {
		for i := range max(p.Range, 1) {
			if p.ContainerPort+i == number && p.Protocol == protocol {
				found = true
				if _, err := fmt.Fprintln(app.Stdout, publishedAt(p, i)); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("failed to find published port %q", wanted)
	}
	return nil
}

// showPorts prints a line for each port, beginning with prefix.
func (app *App) showPorts(ports []container.PortMapping, prefix string) error {
	for _, p := range ports {
		for i := range max(p.Range, 1) {
			if _, err := fmt.Fprintf(app.Stdout, "%s%d/%s -> %s\n", prefix, p.ContainerPort+i, p.Protocol, publishedAt(p, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// publishedAt is the host's address of the i-th port of a mapping.
func publishedAt(p container.PortMapping, i uint16) string {
	ip := p.HostIP
	if ip == "" {
		ip = "0.0.0.0"
	}
	return net.JoinHostPort(ip, strconv.Itoa(int(p.HostPort+i)))
}

// parsePort reads PORT[/PROTOCOL].
func parsePort(s string) (number uint16, protocol string, err error) {
	digits, protocol, named := strings.Cut(s, "/")
	if !named {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || protocol != "tcp" && protocol != "udp" {
		return 0, "", fmt.Errorf("port %q: the form is PORT[/tcp|/udp]", s)
	}
	return uint16(n), protocol, nil
}
