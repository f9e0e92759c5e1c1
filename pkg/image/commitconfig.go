package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containers/common/libimage"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/storage"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerFormat is the value of --format for Docker's; every other is OCI's.
const dockerFormat = "docker"

// commitPlan is what the user asked for, understood.
type commitPlan struct {
	changes  *libimage.ImageConfig
	override map[string]json.RawMessage
}

// plan understands the options, or says why they cannot be meant.
func (o *CommitOptions) plan() (*commitPlan, error) {
	changes, err := libimage.ImageConfigFromChanges(o.Changes)
	if err != nil {
		return nil, err
	}
	p := &commitPlan{changes: changes}
	if o.Format != dockerFormat {
		if o.Message != "" {
			return nil, errors.New("messages are only compatible with the docker image format (-f docker)")
		}
		if len(changes.OnBuild) > 0 {
			return nil, errors.New("ONBUILD is only compatible with the docker image format (-f docker)")
		}
	}
	if o.Override == nil {
		return p, nil
	}
	strict := json.NewDecoder(bytes.NewReader(o.Override))
	strict.DisallowUnknownFields()
	if err := strict.Decode(new(manifest.Schema2Config)); err != nil {
		return nil, fmt.Errorf("the configuration to merge: %w", err)
	}
	return p, json.Unmarshal(o.Override, &p.override)
}

// newConfig is the base's configuration with what the container and the user change of
// it. What we do not know of it stays.
func newConfig(base []byte, plan *commitPlan, layers []*storage.Layer, now time.Time, opts CommitOptions) ([]byte, error) {
	var top map[string]json.RawMessage
	var known struct {
		Config  libimage.ImageConfig `json:"config"`
		History []ociv1.History      `json:"history"`
	}
	if err := errors.Join(json.Unmarshal(base, &top), json.Unmarshal(base, &known)); err != nil {
		return nil, fmt.Errorf("read the configuration of its image: %w", err)
	}
	for _, ofBase := range []string{"container", "container_config", "docker_version", "id", "parent", "comment"} {
		delete(top, ofBase)
	}
	var config map[string]json.RawMessage
	if len(top["config"]) > 0 {
		if err := json.Unmarshal(top["config"], &config); err != nil {
			return nil, fmt.Errorf("read the configuration of its image: %w", err)
		}
	}
	if config == nil {
		config = map[string]json.RawMessage{}
	}
	shell := "/bin/sh" // as Buildah says when nothing was run
	var custom []string
	if json.Unmarshal(config["Shell"], &custom) == nil && len(custom) > 0 {
		shell = strings.Join(custom, " ")
	}
	c := known.Config
	applyContainer(&c, opts.Container)
	applyChanges(&c, plan.changes)
	fields := map[string]any{
		"User": c.User, "ExposedPorts": c.ExposedPorts, "Env": c.Env, "Entrypoint": c.Entrypoint, "Cmd": c.Cmd, "Volumes": c.Volumes,
		"WorkingDir": c.WorkingDir, "Labels": c.Labels, "StopSignal": c.StopSignal,
	}
	if opts.Format == dockerFormat {
		fields["OnBuild"] = c.OnBuild
	}
	if err := set(config, fields); err != nil {
		return nil, err
	}
	maps.Copy(config, plan.override)

	step := ociv1.History{Created: &now, CreatedBy: shell, Author: opts.Author, Comment: "FROM " + opts.BaseName}
	if opts.Message != "" {
		step.Comment = opts.Message
	}
	history := append(known.History, step)
	if opts.Squash {
		history = []ociv1.History{step}
	}
	rootfs := ociv1.RootFS{Type: "layers"}
	for _, l := range layers {
		rootfs.DiffIDs = append(rootfs.DiffIDs, l.UncompressedDigest)
	}
	whole := map[string]any{"created": now, "config": config, "history": history, "rootfs": rootfs, "comment": opts.Message}
	if opts.Author != "" {
		whole["author"] = opts.Author
	}
	if err := set(top, whole); err != nil {
		return nil, err
	}
	return json.Marshal(top)
}

// set replaces fields of an object; those that are empty are left out.
func set(object map[string]json.RawMessage, fields map[string]any) error {
	for name, value := range fields {
		b, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if slices.Contains([]string{"null", `""`, "{}", "[]"}, string(b)) {
			delete(object, name)
			continue
		}
		object[name] = b
	}
	return nil
}

// applyContainer puts a container's configuration over its image's.
func applyContainer(c *libimage.ImageConfig, own ContainerConfig) {
	c.Entrypoint, c.Cmd, c.Env = own.Entrypoint, own.Cmd, slices.Clone(own.Env)
	c.Labels = merged(c.Labels, own.Labels)
	if own.User != "" {
		c.User = own.User
	}
	if own.WorkDir != "" {
		c.WorkingDir = own.WorkDir
	}
	ports := map[string]struct{}{}
	for _, p := range own.Ports {
		ports[p] = struct{}{}
	}
	c.ExposedPorts = merged(c.ExposedPorts, ports)
}

// applyChanges puts the instructions of --change over a configuration.
func applyChanges(c, by *libimage.ImageConfig) {
	for _, variable := range by.Env {
		name, _, _ := strings.Cut(variable, "=")
		c.Env = slices.DeleteFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		c.Env = append(c.Env, variable)
	}
	if by.Entrypoint != nil {
		c.Entrypoint = by.Entrypoint
	}
	if by.Cmd != nil {
		c.Cmd = by.Cmd
	}
	for _, s := range []struct {
		to   *string
		from string
	}{{&c.User, by.User}, {&c.WorkingDir, by.WorkingDir}, {&c.StopSignal, by.StopSignal}} {
		if s.from != "" {
			*s.to = s.from
		}
	}
	c.Labels = merged(c.Labels, by.Labels)
	c.ExposedPorts, c.Volumes = merged(c.ExposedPorts, by.ExposedPorts), merged(c.Volumes, by.Volumes)
	c.OnBuild = append(slices.Clone(c.OnBuild), by.OnBuild...)
}

// merged is a map with what is in another one, too.
func merged[V any](m, more map[string]V) map[string]V {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]V{}
	}
	maps.Copy(m, more)
	return m
}

// newManifest lists a configuration and layers, which the store has unpacked.
func newManifest(config []byte, layers []*storage.Layer, format string) ([]byte, error) {
	mediaType, configType, layerType := ociv1.MediaTypeImageManifest, ociv1.MediaTypeImageConfig, ociv1.MediaTypeImageLayer
	if format == dockerFormat {
		mediaType, configType, layerType = manifest.DockerV2Schema2MediaType, manifest.DockerV2Schema2ConfigMediaType, manifest.DockerV2SchemaLayerMediaTypeUncompressed
	}
	m := ociv1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: mediaType,
		Config:    ociv1.Descriptor{MediaType: configType, Digest: digest.FromBytes(config), Size: int64(len(config))},
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, ociv1.Descriptor{MediaType: layerType, Digest: l.UncompressedDigest, Size: l.UncompressedSize})
	}
	return json.Marshal(m)
}
