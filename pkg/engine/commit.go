package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/image"
)

// CommitOptions say what image to make of a container.
type CommitOptions struct {
	Image    string // its name; "" is none
	Format   string // "oci" or "docker"
	Author   string
	Message  string
	Changes  []string // instructions of a Containerfile
	Override []byte   // JSON of a configuration in Docker's form, merged last; nil is none
	Pause    bool     // keep a running container from writing while it is read
	Squash   bool
	Progress io.Writer // nil is quiet
}

// Commit makes an image of a container, running or not, and returns its id, 64 hex
// digits.
func (e *Engine) Commit(ctx context.Context, nameOrID string, opts CommitOptions) (string, error) {
	c, _, err := e.find(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	order := commitOrder(c.Spec, opts)
	if err := e.images().PrepareCommit(ctx, order); errors.Is(err, ErrNoImage) {
		return "", &HintError{
			Err:  fmt.Errorf("commit %s: its image %s is not in the store any more", c.Spec.Name, c.Spec.Image.Name),
			Hint: "`vpod export` and `vpod import` make an image of its files alone",
		}
	} else if err != nil {
		return "", err
	}
	// First into a file: unpacking takes longer, and the container waits.
	var layer *os.File
	req := agentproto.TreeRequest{Kind: agentproto.TreeLayer, Freeze: opts.Pause}
	if opts.Squash {
		req.Kind = agentproto.TreeMerged
	}
	err = e.readTree(ctx, "commit", c.Spec.ID, req, func(_ container.Container, tree io.Reader) (err error) {
		layer, err = e.images().Spool(ctx, tree)
		return err
	})
	if err != nil {
		if layer != nil {
			layer.Close()
		}
		return "", err
	}
	defer layer.Close()
	return e.images().Commit(ctx, layer, order)
}

// commitOrder is what a container and the user say of the new image. It is pure.
func commitOrder(spec container.Spec, opts CommitOptions) image.CommitOptions {
	order := image.CommitOptions{
		Base: spec.Image.ID, BaseName: spec.Image.Name, Name: opts.Image,
		Format: opts.Format, Author: opts.Author, Message: opts.Message, Changes: opts.Changes, Override: opts.Override,
		Squash: opts.Squash, Progress: opts.Progress,
		Container: image.ContainerConfig{
			Entrypoint: spec.Process.Entrypoint, Cmd: spec.Process.Command, Env: spec.Process.Env,
			Labels: spec.Labels, User: spec.Process.User, WorkDir: spec.Process.WorkDir,
		},
	}
	order.Container.Env = slices.DeleteFunc(slices.Clone(spec.Process.Env), func(v string) bool {
		return v == "HOSTNAME="+spec.Hostname || strings.HasPrefix(v, "container=") // each container has its own
	})
	for _, p := range spec.Network.Ports {
		order.Container.Ports = append(order.Container.Ports, fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol))
	}
	return order
}
