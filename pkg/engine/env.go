package engine

import (
	"log/slog"
	"os"
	"strconv"

	"vpod/pkg/image"
)

// rootlessUIDEnv is set by the storage library for the process it runs in a
// user namespace: the caller's id outside (storage, pkg/unshare).
const rootlessUIDEnv = "_CONTAINERS_ROOTLESS_UID"

// realUID is the user's id outside any user namespace of ours.
func realUID() int {
	if uid, err := strconv.Atoi(os.Getenv(rootlessUIDEnv)); err == nil && uid > 0 {
		return uid
	}
	return os.Geteuid()
}

// rootless reports whether the user is somebody other than root.
func rootless() bool { return realUID() != 0 }

func getenv(key string) string { return os.Getenv(key) }

// Init must be main's first call. It reports true when this process was a
// helper of the storage library, which has done its work.
func Init() bool { return image.Init() }

// EnterUserNamespace makes the image store usable by this process. For root it
// does nothing; anybody else's command goes on in a user namespace.
func EnterUserNamespace(log *slog.Logger) error {
	return image.EnterUserNamespace(image.EnterOptions{}, log)
}
