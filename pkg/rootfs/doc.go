// Package rootfs makes the disks a machine's root file system is assembled
// from: one read-only EROFS file per image, kept in a cache, and one writable
// ext4 scratch disk per container.
//
// It knows directories, files and the tools mkfs.erofs and mke2fs; it knows no
// image store (whoever calls Ensure hands it a way to mount the image), no
// machine, and it never mounts or reads a file system a guest has written. The
// engine calls it when a container is created or started and when images and
// containers are removed.
package rootfs
