package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The images. Both programs get the same archives.
const (
	busyboxImage = "busybox" // Debian's busybox-static and the probe
	filesImage   = "files"   // that, and files to read (filesLayer)
	debianImage  = "debian"  // Debian 12 with python3 (tests/debian-rootfs)
	pullImage    = "pull"    // that, and text: 200 MB uncompressed
)

// What is in filesLayer, below /bench. The probe knows the names.
const (
	sequentialBytes = 128 << 20
	randomBytes     = 64 << 20
	smallFiles      = 10_000
	pullBytes       = 200e6
)

// reference is the name of an image in both stores.
func reference(kind string) string { return "localhost/bench/" + kind + ":1" }

// image makes the archive of an image, once, loads it into a program's store, once,
// and returns its reference.
func (w *world) image(ctx context.Context, p *program, kind string) (string, error) {
	ref := reference(kind)
	if p.loaded[kind] {
		return ref, nil
	}
	archive, err := w.archive(ctx, kind)
	if err != nil {
		return "", fmt.Errorf("make the image %s: %w", kind, err)
	}
	if _, err := w.run(ctx, p.command("load", "--quiet", "--input", archive)...); err != nil {
		return "", err
	}
	p.loaded[kind] = true
	return ref, nil
}

// archive returns the docker-archive of an image.
func (w *world) archive(ctx context.Context, kind string) (string, error) {
	if path, ok := w.images[kind]; ok {
		return path, nil
	}
	layers, err := w.layers(ctx, kind)
	if err != nil {
		return "", err
	}
	path := w.path(kind + ".tar")
	if err := writeArchive(path, reference(kind), layers); err != nil {
		return "", err
	}
	w.images[kind] = path
	return path, nil
}

// layers makes the layers of an image as tar files.
func (w *world) layers(ctx context.Context, kind string) ([]string, error) {
	base := w.path("layer-busybox.tar")
	switch kind {
	case busyboxImage:
		return []string{base}, w.writeLayer(base, w.busyboxLayer)
	case filesImage:
		files := w.path("layer-files.tar")
		return []string{base, files}, errors.Join(w.writeLayer(base, w.busyboxLayer), w.writeLayer(files, filesLayer))
	case debianImage:
		debian, err := w.debianLayer(ctx)
		return []string{debian}, err
	case pullImage:
		debian, err := w.debianLayer(ctx)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(debian)
		if err != nil {
			return nil, err
		}
		text := w.path("layer-text.tar")
		return []string{debian, text}, w.writeLayer(text, func(tw *tar.Writer) error {
			return addBytes(tw, "text", 0o644, words(max(0, int(pullBytes-float64(info.Size())))))
		})
	}
	return nil, fmt.Errorf("no image is called %q", kind)
}

// writeLayer writes a tar file by fill, unless it is there.
func (w *world) writeLayer(path string, fill func(*tar.Writer) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	tw := tar.NewWriter(f)
	if err := errors.Join(fill(tw), tw.Close(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// busyboxLayer has every applet as a link in /bin, and the probe.
func (w *world) busyboxLayer(tw *tar.Writer) error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	list, err := w.run(context.Background(), path, "--list")
	if err != nil {
		return err
	}
	for _, dir := range []string{"bin", "etc", "root", "proc", "sys", "dev"} {
		if err := addDirectory(tw, dir, 0o755); err != nil {
			return err
		}
	}
	if err := addDirectory(tw, "tmp", 0o1777); err != nil {
		return err
	}
	for name, file := range map[string]string{"bin/busybox": path, "bin/probe": filepath.Join(w.build, "bench-probe")} {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := addBytes(tw, name, 0o755, b); err != nil {
			return err
		}
	}
	for _, applet := range strings.Fields(list.stdout) {
		if applet == "busybox" {
			continue
		}
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}); err != nil {
			return err
		}
	}
	return errors.Join(
		addBytes(tw, "etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n")),
		addBytes(tw, "etc/group", 0o644, []byte("root:x:0:\n")))
}

// filesLayer has a file to read from beginning to end, one to read here and there,
// and many small ones, as they are and in an archive. Nothing in it compresses: all
// is read as it is.
func filesLayer(tw *tar.Writer) error {
	var small bytes.Buffer
	inner := tar.NewWriter(&small)
	if err := errors.Join(manyFiles(inner, "small"), inner.Close(), addDirectory(tw, "bench", 0o755)); err != nil {
		return err
	}
	return errors.Join(
		addBytes(tw, "bench/sequential", 0o644, noise(1, sequentialBytes)),
		addBytes(tw, "bench/random", 0o644, noise(2, randomBytes)),
		addBytes(tw, "bench/small.tar", 0o644, small.Bytes()),
		manyFiles(tw, "bench/tree"))
}

// manyFiles adds small files, a hundred to a directory, of 1 to 4095 bytes.
func manyFiles(tw *tar.Writer, dir string) error {
	sizes := rand.New(rand.NewPCG(3, 3))
	content := noise(4, 4096)
	errs := []error{addDirectory(tw, dir, 0o755)}
	for i := range smallFiles {
		sub := fmt.Sprintf("%s/%03d", dir, i/100)
		if i%100 == 0 {
			errs = append(errs, addDirectory(tw, sub, 0o755))
		}
		errs = append(errs, addBytes(tw, fmt.Sprintf("%s/%05d", sub, i), 0o644, content[:1+sizes.IntN(4095)]))
	}
	return errors.Join(errs...)
}

// noise is n bytes that are the same for the same seed and do not compress.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // it never fails
	return b
}

// words is n bytes of made-up text, which compresses as programs do, to about a
// third.
func words(n int) []byte {
	r := rand.New(rand.NewPCG(5, 5))
	vocabulary := noise(6, 4096)
	b := make([]byte, 0, n+16)
	for len(b) < n {
		at := r.IntN(1024) * 4
		b = append(b, vocabulary[at:at+4]...)
		b = append(b, byte(r.IntN(4)))
	}
	return b[:n]
}

// debianLayer is made by the script the tests use, in the user's own cache.
func (w *world) debianLayer(ctx context.Context) (string, error) {
	path := w.path("layer-debian.tar")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	_, err := w.runAs(ctx, w.userEnv, "tests/debian-rootfs", path)
	return path, err
}
