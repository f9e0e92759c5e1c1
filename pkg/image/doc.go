// Package image is vpod's door to the image store that Podman, Buildah and
// Skopeo share: it pulls, lists, inspects, tags, loads, saves, removes and mounts
// images, by the user's own storage.conf, registries.conf, policy.json and
// auth.json. It also puts a rootless command into the user namespace the store
// needs.
//
// It alone imports containers/image, containers/storage and containers/common's
// libimage. It knows no containers of vpod beyond what callbacks tell it and
// makes no disks. The engine calls it; commands that need only state must not,
// because another process that unpacks a layer blocks whoever opens the store.
package image
