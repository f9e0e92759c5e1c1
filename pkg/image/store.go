package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containers/common/libimage"
	istorage "github.com/containers/image/v5/storage"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/containers/storage"
	"github.com/containers/storage/types"
)

// Options say which store to use. The zero value is the calling user's own, as
// storage.conf has it.
type Options struct {
	Root          string   // graph root, Podman's --root
	RunRoot       string   // run root, Podman's --runroot
	Driver        string   // storage driver, as "overlay"
	DriverOptions []string // as "overlay.mount_program=…"

	SignaturePolicy string // policy.json to use instead of the user's or the system's
	RegistriesConf  string // registries.conf to use instead of the user's or the system's
	AuthFile        string // auth.json for registries; "" is $REGISTRY_AUTH_FILE, then the usual places

	// TempDir is where layers are kept while they are copied; it must have room for
	// them, and nobody else may use it. "" is Podman's, usually /var/tmp.
	TempDir string

	// StallTimeout is how long a registry may send nothing in the middle of a copy;
	// 0 is two minutes.
	StallTimeout time.Duration

	// Waiting is called, at most once, when the store has been held by another
	// process for a second: with the old locking of containers/storage, one that
	// unpacks a layer blocks everybody. holder is that process's id. May be nil.
	Waiting func(holder int)
}

// Store is the image store, opened when first used. Its methods may be called
// from several goroutines. Names of images are short names, full references, ids,
// unique beginnings of ids, or digests, as Podman takes them.
type Store struct {
	opts Options
	log  *slog.Logger

	mu      sync.Mutex
	store   storage.Store     // nil until opened
	runtime *libimage.Runtime // over store
	lock    *lockWatch        // of the open store

	bulkRuntime *libimage.Runtime // nil until needed; see bulk
	tempDir     *tempDir          // for big passing files; nil until needed
}

// Open returns the store without touching it yet; the first method that needs it
// does, and fails with ErrNotInUserNamespace where it may not be opened.
func Open(opts Options, log *slog.Logger) *Store {
	return &Store{opts: opts, log: log}
}

// Close lets go of the store. Images that are mounted stay so.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tempDir != nil {
		s.tempDir.remove()
		s.tempDir = nil
	}
	if s.store == nil {
		return nil
	}
	_, err := s.store.Shutdown(false)
	s.store, s.runtime, s.bulkRuntime = nil, nil, nil
	if err != nil && !errors.Is(err, storage.ErrLayerUsedByContainer) { // mounted layers are no error here
		return fmt.Errorf("close the image store: %w", err)
	}
	return nil
}

// use runs f, which asks the store something quick, on the open store; the user
// is told when that takes long because another process holds it.
func (s *Store) use(ctx context.Context, f func(*libimage.Runtime) error) error {
	runtime, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.lock.watch()()
	return f(runtime)
}

// Root is where the store keeps its images, and the driver it uses. It opens the
// store.
func (s *Store) Root(ctx context.Context) (root, driver string, err error) {
	if _, err := s.open(ctx); err != nil {
		return "", "", err
	}
	return s.store.GraphRoot(), s.store.GraphDriverName(), nil
}

// open opens the store if it is not, and waits, as long as ctx allows, while
// another process holds it.
func (s *Store) open(ctx context.Context) (*libimage.Runtime, error) {
	if !InUserNamespace() {
		return nil, ErrNotInUserNamespace
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runtime != nil {
		return s.runtime, s.lock.await(ctx)
	}
	opts, err := s.storeOptions()
	if err != nil {
		return nil, err
	}
	s.lock = &lockWatch{root: opts.GraphRoot, tell: s.opts.Waiting}
	if err := s.lock.await(ctx); err != nil {
		return nil, err
	}
	stop := s.lock.watch()
	store, err := storage.GetStore(opts)
	stop()
	if err != nil {
		return nil, fmt.Errorf("open the image store in %s: %w", opts.GraphRoot, err)
	}
	istorage.Transport.SetStore(store) // containers-storage: names mean this store
	runtime, err := libimage.RuntimeFromStore(store, &libimage.RuntimeOptions{SystemContext: &imgtypes.SystemContext{
		SignaturePolicyPath:      s.opts.SignaturePolicy,
		SystemRegistriesConfPath: s.opts.RegistriesConf,
		AuthFilePath:             s.authFile(),
	}})
	if err != nil {
		return nil, fmt.Errorf("open the image store in %s: %w", opts.GraphRoot, err)
	}
	s.store, s.runtime = store, runtime
	return runtime, nil
}

// storeOptions is storage.conf with what Options override.
func (s *Store) storeOptions() (types.StoreOptions, error) {
	opts, err := types.DefaultStoreOptions()
	if err != nil {
		return opts, fmt.Errorf("read storage.conf: %w", err)
	}
	if s.opts.Root != "" {
		if opts.GraphRoot, err = filepath.Abs(s.opts.Root); err != nil {
			return opts, fmt.Errorf("image store %q: %w", s.opts.Root, err)
		}
		opts.ImageStore = ""
	}
	if s.opts.RunRoot != "" {
		if opts.RunRoot, err = filepath.Abs(s.opts.RunRoot); err != nil {
			return opts, fmt.Errorf("run directory %q: %w", s.opts.RunRoot, err)
		}
	}
	if s.opts.Driver != "" {
		if s.opts.Driver != opts.GraphDriverName {
			opts.GraphDriverOptions = nil // they are another driver's
		}
		opts.GraphDriverName = s.opts.Driver
	}
	if s.opts.DriverOptions != nil {
		opts.GraphDriverOptions = s.opts.DriverOptions
	}
	return opts, nil
}

// RunRoot is where the store keeps what does not survive a reboot. It opens the
// store.
func (s *Store) RunRoot(ctx context.Context) (string, error) {
	if _, err := s.open(ctx); err != nil {
		return "", err
	}
	return s.store.RunRoot(), nil
}

// OtherDrivers names storage drivers under which the same store holds images
// that are not seen through the one in use, for `info`.
func (s *Store) OtherDrivers(ctx context.Context) ([]string, error) {
	root, driver, err := s.Root(ctx)
	if err != nil {
		return nil, err
	}
	return otherDrivers(root, driver), nil
}

// otherDrivers looks for them. Debian 12's Podman, rootless and without a
// storage.conf, takes vfs, whose images are not seen by who takes overlay.
func otherDrivers(root, driver string) []string {
	paths, _ := filepath.Glob(filepath.Join(root, "*-images", "images.json"))
	var others []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(filepath.Dir(path)), "-images")
		if info, err := os.Stat(path); name != driver && err == nil && info.Size() > int64(len("[]")) {
			others = append(others, name)
		}
	}
	return others
}
