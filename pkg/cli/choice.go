package cli

import (
	"fmt"
	"slices"
	"strings"
)

// choice is a flag value out of a fixed list.
type choice struct {
	value   *string
	allowed []string
}

// newChoice returns the flag value that stores into value, which holds the default.
func newChoice(value *string, allowed ...string) *choice {
	return &choice{value: value, allowed: allowed}
}

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("%q is not a valid value, choose from %s", s, strings.Join(c.allowed, ", "))
	}
	*c.value = s
	return nil
}

// Type implements pflag.Value.
func (c *choice) Type() string { return "choice" }
