package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"vpod/pkg/container"
)

// labelFlags attach words to a container that mean something to others.
type labelFlags struct {
	labels      []string
	labelFiles  []string
	annotations []string
}

func (f *labelFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.labels, "label", "l", nil, "Set a label: `KEY[=VALUE]`")
	flags.StringSliceVar(&f.labelFiles, "label-file", nil, "Read labels from this `file`")
	flags.StringSliceVar(&f.annotations, "annotation", nil, "Set an annotation: `KEY=VALUE`")
}

func (f *labelFlags) apply(spec *container.Spec) error {
	labels := map[string]string{}
	for _, name := range f.labelFiles {
		if err := readLines(name, func(line string) error { return setLabel(labels, line) }); err != nil {
			return fmt.Errorf("--label-file: %w", err)
		}
	}
	for _, l := range f.labels {
		if err := setLabel(labels, l); err != nil {
			return fmt.Errorf("--label: %w", err)
		}
	}
	annotations, err := pairs("--annotation", f.annotations)
	if err != nil {
		return err
	}
	if len(labels) > 0 {
		spec.Labels = labels
	}
	spec.Annotations = annotations
	return nil
}

// pairs reads KEY=VALUE words; nil for none.
func pairs(flag string, words []string) (map[string]string, error) {
	var out map[string]string
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%s %q: the form is KEY=VALUE", flag, w)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = value
	}
	return out, nil
}
