package engine

import (
	"fmt"
	"os"
	"slices"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/network"
	"vpod/pkg/qemu"
	"vpod/pkg/sidecar"
)

// networkPlan plans a container's network with what the host has now, and finds
// out that its ports can be had.
func networkPlan(spec container.Spec, baseHosts string) (networkFacts, error) {
	return networkPlanOn(spec, network.HostOptions{Path: os.Getenv("PATH"), HostsFile: baseHosts})
}

// networkPlanOn is networkPlan with the host as o says.
func networkPlanOn(spec container.Spec, o network.HostOptions) (networkFacts, error) {
	host, err := network.ReadHost(o)
	if err != nil {
		return networkFacts{}, err
	}
	p, err := network.New(network.Container{Name: spec.Name, Hostname: spec.Hostname, Network: spec.Network}, host)
	if err != nil {
		return networkFacts{}, err
	}
	if err := network.CheckPorts(p.Ports, p.Passt != nil && host.IPv6()); err != nil {
		return networkFacts{}, fmt.Errorf("container %s: %w", spec.Name, err)
	}
	return translateNetwork(spec.Network.Mode, p), nil
}

// translateNetwork puts a plan into the words of the monitor, QEMU and the agent.
func translateNetwork(mode container.NetworkMode, p *network.Plan) networkFacts {
	f := networkFacts{
		Monitor: monitor.Network{Mode: mode, Ports: p.Ports},
		Files:   p.Files,
	}
	if p.NIC == nil {
		return f
	}
	f.Guest = []agentproto.NIC{*p.NIC}
	f.NIC = &qemu.NIC{MAC: p.NIC.MAC, MTU: p.NIC.MTU}
	f.Monitor.Addresses = p.NIC.Addresses
	f.Monitor.Gateway = p.NIC.Gateways[0]
	switch {
	case p.Passt != nil:
		f.Monitor.Passt, f.Monitor.PasstArgs = p.Passt.Path, p.Passt.Args
	case p.User != nil:
		f.NIC.User = &qemu.UserNet{Network: p.User.Network, Host: p.User.Host, DNS: p.User.DNS, Guest: p.User.Guest}
		for _, m := range p.Ports {
			f.NIC.User.Forwards = append(f.NIC.User.Forwards, qemu.Forward{
				Protocol: m.Protocol, HostIP: m.HostIP, HostPort: int(m.HostPort), GuestPort: int(m.ContainerPort),
			})
		}
	}
	return f
}

// resolveNetwork completes what a new container's network lacks.
func resolveNetwork(n container.Network, servers, searches, options []string) (container.Network, error) {
	if n.Mode == "" {
		n.Mode = container.NetworkUser
	}
	if n.Mode == container.NetworkUser {
		if n.MAC == "" {
			n.MAC = network.NewMAC()
		}
		n.DNS = orDefault(n.DNS, servers)
		n.DNSSearch = orDefault(n.DNSSearch, searches)
		n.DNSOptions = orDefault(n.DNSOptions, options)
	}
	if err := network.Validate(n); err != nil {
		return n, err
	}
	var err error
	n.Ports, err = network.ChoosePorts(n.Ports) // once: a published port stays the same over restarts
	return n, err
}

// orDefault is the list, or, when it is empty, a copy of the default one.
func orDefault(list, def []string) []string {
	if len(list) > 0 {
		return list
	}
	return slices.Clone(def)
}

// networkHelper says what stands behind a machine's NIC here.
func networkHelper() string {
	if path, err := sidecar.FindPasst(os.Getenv("PATH")); err == nil {
		return path
	}
	return "built into QEMU"
}
