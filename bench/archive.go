package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// writeArchive writes a docker-archive (docker save) of an image made of layers,
// which are tar files.
func writeArchive(path, reference string, layers []string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tw := tar.NewWriter(f)

	type manifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	m := manifest{Config: "config.json", RepoTags: []string{reference}}
	var diffIDs []string
	var history []map[string]string
	for i, layer := range layers {
		name := fmt.Sprintf("layer%d.tar", i)
		sum, err := addFile(tw, name, layer)
		if err != nil {
			return fmt.Errorf("layer %s: %w", filepath.Base(layer), err)
		}
		m.Layers = append(m.Layers, name)
		diffIDs = append(diffIDs, "sha256:"+sum)
		history = append(history, map[string]string{"created": "2024-01-01T00:00:00Z", "created_by": "bench"})
	}
	config := map[string]any{
		"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
		"config":  map[string]any{"Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, "Cmd": []string{"/bin/sh"}, "WorkingDir": "/"},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": diffIDs},
		"history": history, // buildah wants an entry for each layer
	}
	for name, value := range map[string]any{m.Config: config, "manifest.json": []manifest{m}} {
		b, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if err := addBytes(tw, name, 0o644, b); err != nil {
			return err
		}
	}
	return tw.Close()
}

// addFile adds a file of the host and returns its sha256.
func addFile(tw *tar.Writer, name, path string) (sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(tw, h), f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// addBytes adds a file of root's.
func addBytes(tw *tar.Writer, name string, mode int64, content []byte) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := tw.Write(content)
	return err
}

// addDirectory adds a directory of root's.
func addDirectory(tw *tar.Writer, name string, mode int64) error {
	return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}
