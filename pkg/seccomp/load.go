package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxProfileBytes bounds a profile file. The default profile is 16 KB.
const maxProfileBytes = 1 << 20

// Load reads and checks the profile in the JSON file at path. Errors are
// *ProfileError; errors.Is(err, fs.ErrNotExist) tells a missing file.
func Load(path string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		e := &ProfileError{Path: path, Problem: reason(err), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "give the path of a JSON profile, or seccomp=unconfined for none"
		}
		return nil, e
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxProfileBytes+1))
	if err != nil {
		return nil, &ProfileError{Path: path, Problem: reason(err), Err: err}
	}
	p, err := Parse(data)
	if perr := (*ProfileError)(nil); errors.As(err, &perr) {
		perr.Path = path
	}
	return p, err
}

// Parse decodes and checks a profile in JSON. Unknown fields are ignored, as
// Podman does. Errors are *ProfileError without a Path.
func Parse(data []byte) (*Profile, error) {
	if len(data) > maxProfileBytes {
		return nil, &ProfileError{Problem: fmt.Sprintf("larger than %d bytes", maxProfileBytes)}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &ProfileError{
			Problem: "the file is empty",
			Hint:    "write a JSON profile, or use seccomp=unconfined for none",
		}
	}
	var p Profile
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, jsonError(data, err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// jsonError adds the place to an error of encoding/json.
func jsonError(data []byte, err error) error {
	e := &ProfileError{Problem: "not valid JSON: " + err.Error(), Err: err}
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		e.At = position(data, syntax.Offset)
	case errors.As(err, &typ):
		e.At = position(data, typ.Offset)
		e.Problem = fmt.Sprintf("field %q cannot be a JSON %s: want %s", typ.Field, typ.Value, jsonKind(typ))
		if typ.Field == "" {
			e.Problem = fmt.Sprintf("a profile is a JSON object, not %s", typ.Value)
		}
	}
	return e
}

func jsonKind(err *json.UnmarshalTypeError) string {
	switch k := err.Type.Kind().String(); k {
	case "uint", "uint64":
		return "a number from 0 to 2^64-1"
	case "slice":
		return "an array"
	case "struct":
		return "an object"
	default:
		return "a " + k
	}
}

// position turns a byte offset into a line and column, both counted from 1.
func position(data []byte, offset int64) string {
	before := data[:max(0, min(offset-1, int64(len(data))))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}

// reason strips the path, which ProfileError already shows, from a file error.
func reason(err error) string {
	if perr := (*fs.PathError)(nil); errors.As(err, &perr) {
		return perr.Err.Error()
	}
	return err.Error()
}
