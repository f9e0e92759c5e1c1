package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/wholefile"
)

// readTree has use read files of a container as its agent sends them. That of a running
// one is asked; for another a machine is started with its disks. The container's
// operation lock is held meanwhile, so that it is not started or removed. req.Freeze is
// for running containers.
func (e *Engine) readTree(ctx context.Context, verb, nameOrID string, req agentproto.TreeRequest, use func(container.Container, io.Reader) error) error {
	if err := e.PrepareStart(ctx, nameOrID); err != nil {
		return err
	}
	c, _, err := e.find(ctx, nameOrID)
	if err != nil {
		return err
	}
	if c.Spec.Rootfs.Mode != container.RootfsDisk {
		return &HintError{
			Err:  fmt.Errorf("%s %s: with --rootfs-mode %s the container's files are in the image store", verb, c.Spec.Name, c.Spec.Rootfs.Mode),
			Hint: "`podman ps --all --external` lists its layer, as vpod-" + c.Spec.ID[:12],
		}
	}
	op, c, live, err := e.hold(ctx, c.Spec)
	if err != nil {
		return err
	}
	defer op.Close()
	if live == nil {
		if err := requireState(c, verb, "", container.Created, container.Exited); err != nil {
			return err
		}
		return e.readStopped(ctx, c, e.dirs.Container(c.Spec.ID), req, use)
	}
	if state := shownState(c, live); state != container.Running && state != container.Stopping {
		return &container.StateError{Name: c.Spec.Name, Have: state, Verb: verb, Hint: "wait until it runs, or stop it first"}
	}
	agent := agentclient.New(agentclient.Dial(e.reach(c.Spec.ID).AgentSocket()))
	return explainTree(c, useTree(ctx, agent, c, req, use))
}

// useTree opens the stream and lets use read it.
func useTree(ctx context.Context, agent *agentclient.Client, c container.Container, req agentproto.TreeRequest, use func(container.Container, io.Reader) error) error {
	req.Exclude = c.Spec.Image.Volumes // as Podman: volumes are not part of a container's files
	tree, err := agent.Tree(ctx, c.Spec.ID, req)
	if err != nil {
		return err
	}
	defer tree.Close()
	return use(c, tree)
}

// explainTree says what an agent's refusal means.
func explainTree(c container.Container, err error) error {
	var refused *agentproto.Error
	switch {
	case errors.As(err, &refused) && refused.Code == agentproto.ErrBadRequest:
		return &HintError{Err: fmt.Errorf("container %s: %w", c.Spec.Name, err), Hint: "was it started by an older vpod? Stop it first, then it can be read"}
	case errors.As(err, &refused):
		return fmt.Errorf("container %s: %w", c.Spec.Name, err)
	case errors.Is(err, agentclient.ErrClosed):
		return fmt.Errorf("container %s ended, or its machine was lost, while its files were read: %w", c.Spec.Name, err)
	}
	return err
}

// readStopped reads files of a container that does not run.
func (e *Engine) readStopped(ctx context.Context, c container.Container, files paths.Container, req agentproto.TreeRequest, use func(container.Container, io.Reader) error) error {
	orders, err := e.maintenanceOrders(ctx, c.Spec, files)
	if err != nil {
		return err
	}
	m, err := monitor.StartMaintenance(ctx, orders, e.opts.Log)
	if err != nil {
		return fmt.Errorf("start a machine to read the disk of container %s: %w", c.Spec.Name, err)
	}
	defer m.Close()
	req.Freeze = false // nobody else writes
	req.Rootfs, req.Machine = &orders.Containers[0].Guest.Rootfs, m.GuestTime()
	err = useTree(ctx, m.Client, c, req, use)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return explainTree(c, err)
}

// maintenanceOrders are a container's, as far as they are about its machine and disks:
// there is no network.
func (e *Engine) maintenanceOrders(ctx context.Context, spec container.Spec, files paths.Container) (*monitor.Launch, error) {
	host := hostFacts{Files: files, HostCPUs: runtime.NumCPU(), BootTimeout: config.BootTimeout}
	if err := e.machineFacts(ctx, spec, &host); err != nil {
		return nil, err
	}
	var err error
	if host.ImageDisk, _, err = e.readyRootfs(ctx, spec, files); err != nil {
		return nil, err
	}
	return plan(spec, host)
}

// Export writes all files of a container to w as a tar archive, without what is
// mounted in it and without the content of its volumes.
func (e *Engine) Export(ctx context.Context, nameOrID string, w io.Writer) error {
	return e.readTree(ctx, "export", nameOrID, agentproto.TreeRequest{Kind: agentproto.TreeMerged}, func(_ container.Container, tree io.Reader) error {
		_, err := io.Copy(w, tree)
		return err
	})
}

// ExportFile is Export to a file, which is there when it is whole, and not at all when
// that fails; unless it is a device or a pipe.
func (e *Engine) ExportFile(ctx context.Context, nameOrID, path string) error {
	return wholefile.Write(path, 0o666, func(w io.Writer) error { return e.Export(ctx, nameOrID, w) })
}
