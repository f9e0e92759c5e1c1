package monitor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
)

// maxLine bounds a line of JSON, in bytes.
const maxLine = 64 << 10

// lineError reports a line that is not the JSON expected.
type lineError struct{ err error }

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// readLine reads one line of JSON into v. Its error is a *lineError when the
// line is at fault, else the connection's.
func readLine(r *bufio.Reader, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return &lineError{fmt.Errorf("line longer than %d bytes", maxLine)}
		}
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	if err := json.Unmarshal(line, v); err != nil {
		return &lineError{err}
	}
	return nil
}
