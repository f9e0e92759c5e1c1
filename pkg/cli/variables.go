package cli

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Formats of environment variables and labels, on the command line and in
// files, are those of podman-run(1), "--env-file" and "--label-file".

// blanks may stand before a name and not in it.
const blanks = " \t"

// variables are environment variables by name.
type variables map[string]string

// set takes "KEY=value", "KEY" (the host's value, if it has one) or "PREFIX*"
// (all of the host's with that prefix).
func (v variables) set(line string, environ []string) error {
	name, value, assigned := strings.Cut(line, "=")
	if name == "" {
		return fmt.Errorf("invalid environment variable %q: there is no name before the =", line)
	}
	name = strings.TrimLeft(name, blanks)
	if name == "" || strings.ContainsAny(name, blanks) {
		return fmt.Errorf("invalid environment variable %q: the name has white space in it", line)
	}
	if assigned {
		v[name] = value
		return nil
	}
	prefix, all := strings.CutSuffix(name, "*")
	for _, e := range environ {
		key, value, ok := strings.Cut(e, "=")
		if ok && (key == name || (all && strings.HasPrefix(key, prefix))) {
			v[key] = value
		}
	}
	return nil
}

// list returns "KEY=value" sorted by key.
func (v variables) list() []string {
	var out []string
	for key, value := range v {
		out = append(out, key+"="+value)
	}
	slices.Sort(out)
	return out
}

// setLabel takes "key=value" or "key", whose value is empty.
func setLabel(labels map[string]string, line string) error {
	key, value, _ := strings.Cut(line, "=")
	key = strings.TrimLeft(key, blanks)
	if key == "" {
		return fmt.Errorf("invalid label %q: there is no key before the =", line)
	}
	labels[key] = value
	return nil
}

// readLines calls take with each line of a file that is neither empty nor a
// comment, without leading white space.
func readLines(name string, take func(line string) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20) // a variable's length: more than execve takes
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimLeft(scanner.Text(), blanks)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := take(line); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}
