package image

import (
	"errors"
	"fmt"

	encconfig "github.com/containers/ocicrypt/config"
	enchelpers "github.com/containers/ocicrypt/helpers"
)

// Encryption says which layers are encrypted for whom, as ocicrypt has it. The
// zero value encrypts nothing.
type Encryption struct {
	Keys   []string // recipients, as "jwe:public.pem", "pgp:me@example.com", "pkcs7:cert.pem"
	Layers []int    // by number, from 0, or from -1 downwards; none is all
}

// config is what it means to the copying library.
func (e Encryption) config() (*encconfig.EncryptConfig, *[]int, error) {
	if len(e.Keys) == 0 {
		if len(e.Layers) > 0 {
			return nil, nil, errors.New("--encrypt-layer needs --encryption-key")
		}
		return nil, nil, nil
	}
	cc, err := enchelpers.CreateCryptoConfig(e.Keys, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("--encryption-key: %w", err)
	}
	layers := e.Layers
	if layers == nil {
		layers = []int{} // nil would be none
	}
	combined := encconfig.CombineCryptoConfigs([]encconfig.CryptoConfig{cc})
	return combined.EncryptConfig, &layers, nil
}

// decryption is what keys of --decryption-key, "FILE[:PASSWORD]", mean to the
// copying library when the copy is to be used: without a configuration it would
// take encrypted layers as they are, and stumble over them later.
func decryption(keys []string) (*encconfig.DecryptConfig, error) {
	if len(keys) == 0 {
		return &encconfig.DecryptConfig{Parameters: map[string][][]byte{}}, nil
	}
	cc, err := enchelpers.CreateCryptoConfig(nil, keys)
	if err != nil {
		return nil, fmt.Errorf("--decryption-key: %w", err)
	}
	return encconfig.CombineCryptoConfigs([]encconfig.CryptoConfig{cc}).DecryptConfig, nil
}
