package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// Values of --compression-format and --format.
var (
	compressionFormats = []string{"gzip", "zstd", "zstd:chunked"}
	manifestFormats    = []string{"oci", "v2s2", "v2s1", "docker"}
)

// compressionFlags say how the layers of a copy are compressed.
type compressionFlags struct {
	format  string
	level   int
	force   bool
	changed func() bool // whether a level was given
}

// addFlags adds them; prefix is "dest-" where the copy's source has flags, too.
func (f *compressionFlags) addFlags(flags *pflag.FlagSet, prefix string) {
	format, level, force := "compression-format", "compression-level", "force-compression"
	if prefix != "" {
		format, level, force = prefix+"compress-format", prefix+"compress-level", prefix+"force-compress-format"
	}
	f.changed = func() bool { return flags.Changed(level) }
	flags.Var(newChoice(&f.format, compressionFormats...), format, "Compress layers in this `format`: gzip, zstd or zstd:chunked")
	flags.IntVar(&f.level, level, 0, "Compress at this `level` of the format")
	flags.BoolVar(&f.force, force, false, "Compress layers again that are there in another format")
}

func (f *compressionFlags) get() engine.Compression {
	c := engine.Compression{Format: f.format, Force: f.force}
	if f.changed() {
		c.Level = &f.level
	}
	return c
}

// encryptFlags say for whom layers are encrypted.
type encryptFlags struct {
	keys   []string
	layers []int
}

func (f *encryptFlags) addFlags(flags *pflag.FlagSet) {
	flags.IntSliceVar(&f.layers, "encrypt-layer", nil, "Encrypt only this `layer`: 0 is the first, -1 the last")
	flags.StringSliceVar(&f.keys, "encryption-key", nil, "Encrypt layers for this key, `PROTOCOL:KEY`, as jwe:public.pem")
}

func (f *encryptFlags) get() engine.Encryption {
	return engine.Encryption{Keys: f.keys, Layers: f.layers}
}

// signFlags say how a copy is signed.
type signFlags struct {
	by             string
	sigstoreFile   string
	sigstoreKey    string
	passphraseFile string
}

func (f *signFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.by, "sign-by", "", "Sign with this `key` of gpg(1)")
	flags.StringVar(&f.sigstoreFile, "sign-by-sigstore", "", "Sign as this parameter `file` says, containers-sigstore-signing-params.yaml(5)")
	flags.StringVar(&f.sigstoreKey, "sign-by-sigstore-private-key", "", "Sign with the sigstore key in this `file`")
	flags.StringVar(&f.passphraseFile, "sign-passphrase-file", "", "Read the key's passphrase from this `file`")
}

func (f *signFlags) get(app *App) engine.Signing {
	return engine.Signing{GPGKey: f.by, SigstoreFile: f.sigstoreFile, SigstoreKey: f.sigstoreKey, PassphraseFile: f.passphraseFile, Passphrase: app.askPassphrase}
}

// askPassphrase asks for that of a key file.
func (app *App) askPassphrase(keyFile string) ([]byte, error) {
	if !app.Terminal.IsTerminal(0) {
		return nil, withHint(errors.New("there is no terminal to ask for it"), "give it with --sign-passphrase-file")
	}
	fmt.Fprintf(app.Stderr, "Passphrase for key %s: ", keyFile)
	text, err := app.Terminal.ReadPassword(0)
	fmt.Fprintln(app.Stderr)
	return text, err
}
