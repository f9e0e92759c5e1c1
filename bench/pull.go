package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// measurePull fetches an image from a registry on loopback and makes a container of
// it: for vpod that includes the conversion to a disk, and what is left of the image
// is removed before each run. The registry has the layers as gzip, and in the host's
// cache.
func measurePull(ctx context.Context, w *world) ([]row, error) {
	ref, err := w.publish(ctx)
	if err != nil {
		return nil, err
	}
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		return contestant{
			name: p.name,
			before: func(ctx context.Context) error {
				_, _ = w.run(ctx, p.command("rmi", "--force", ref)...) // it may not be there
				return ctx.Err()
			},
			one: func(ctx context.Context) (values, error) {
				pull, err := w.runSettled(ctx, p.command("pull", "--quiet", ref)...)
				if err != nil {
					return nil, err
				}
				create, err := w.runSettled(ctx, p.container("create", "--name", "pulled", "--network", "none", ref, "true")...)
				return values{"pull": ms(pull.wall), "ready": ms(pull.wall + create.wall)}, err
			},
			after: func(ctx context.Context) error { return p.remove(ctx, w, "pulled") },
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(3, 1), contestants, []row{
		{Name: "pull/ready", Title: "pull of a 200 MB image and `create`", Unit: milliseconds},
		{Name: "pull/pull", Title: "… the pull alone", Unit: milliseconds},
	})
}

// registry is Debian's docker-registry.
type registry struct {
	process *process
	address string
}

// publish starts the registry and puts the image into it. Returns its name there.
func (w *world) publish(ctx context.Context) (string, error) {
	archive, err := w.archive(ctx, pullImage)
	if err != nil {
		return "", err
	}
	if w.registry == nil {
		if err := w.startRegistry(ctx); err != nil {
			return "", err
		}
	}
	ref := w.registry.address + "/bench/pull:1"
	_, err = w.run(ctx, "skopeo", "copy", "--quiet", "--dest-tls-verify=false", "docker-archive:"+archive, "docker://"+ref)
	return ref, err
}

func (w *world) startRegistry(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	l.Close()
	conf := w.path("conf", "registry.yml")
	text := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: %q}
`, w.path("registry"), address)
	insecure := fmt.Sprintf("unqualified-search-registries = []\n[[registry]]\nlocation = %q\ninsecure = true\n", address)
	if err := errors.Join(os.WriteFile(conf, []byte(text), 0o600), os.WriteFile(w.path("conf", "registries.conf"), []byte(insecure), 0o600)); err != nil {
		return err
	}
	log, err := os.Create(w.path("registry.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	p, err := w.reaper.start([]string{"/usr/bin/docker-registry", "serve", conf}, w.env, [3]*os.File{w.null, log, log})
	if err != nil {
		return fmt.Errorf("docker-registry: %w", err)
	}
	w.registry = &registry{process: p, address: address}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return w.stand()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("docker-registry does not answer")
}

// stopRegistry ends the registry, if it runs.
func (w *world) stopRegistry() {
	if w.registry == nil {
		return
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = w.registry.process.wait(done) // asks it to end
	w.registry = nil
}
