package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Stream is one of the two outputs of a container.
type Stream uint8

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// TimeFormat is how times are written and shown: RFC 3339 with nine digits, as
// conmon and Podman have it.
const TimeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// MaxPart is the longest part of a line kept as one entry, in bytes; the CRI's limit.
const MaxPart = 16 << 10

// The drivers.
const (
	DriverK8sFile  = "k8s-file"
	DriverJSONFile = "json-file"
	DriverNone     = "none"
)

// entry is one line of a log, or a part of one.
type entry struct {
	Time    time.Time
	Stream  Stream
	Text    []byte // without the line's end
	Partial bool   // the line goes on in the next entry of its stream
}

// errSyntax reports a line that is not of the log's format.
var errSyntax = errors.New("not a log line")

// format is how a driver writes an entry: encode appends one to dst, with its
// line's end (stamp is the entry's time already printed); parse reads one back,
// without it. What parse returns may be a part of line.
type format struct {
	stamp  func(t time.Time) []byte
	encode func(dst []byte, stamp []byte, s Stream, text []byte, partial bool) []byte
	parse  func(line []byte) (entry, error)
	split  func(text []byte) int // where to cut a part of MaxPart bytes
}

// formatOf returns a driver's format; nil is none's.
func formatOf(driver string) (*format, error) {
	switch driver {
	case DriverK8sFile, "": // the zero value is the default
		return &format{
			stamp:  func(t time.Time) []byte { return t.AppendFormat(nil, TimeFormat) },
			encode: encodeK8s,
			parse:  parseK8s,
			split:  func(text []byte) int { return len(text) },
		}, nil
	case DriverJSONFile:
		return &format{
			stamp:  func(t time.Time) []byte { return t.UTC().AppendFormat(nil, time.RFC3339Nano) },
			encode: encodeJSON,
			parse:  parseJSON,
			split:  splitRunes,
		}, nil
	case DriverNone:
		return nil, nil
	}
	return nil, fmt.Errorf("unknown log driver %q: use k8s-file, json-file or none", driver)
}

// encodeK8s writes "TIME STREAM F|P TEXT".
func encodeK8s(dst, stamp []byte, s Stream, text []byte, partial bool) []byte {
	dst = append(dst, stamp...)
	if s == Stderr {
		dst = append(dst, " stderr "...)
	} else {
		dst = append(dst, " stdout "...)
	}
	if partial {
		dst = append(dst, "P "...)
	} else {
		dst = append(dst, "F "...)
	}
	dst = append(dst, text...)
	return append(dst, '\n')
}

func parseK8s(line []byte) (entry, error) {
	stamp, rest, ok1 := bytes.Cut(line, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tag, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || !ok3 {
		return entry{}, errSyntax
	}
	var e entry
	var err error
	if e.Time, err = time.Parse(time.RFC3339Nano, string(stamp)); err != nil {
		return entry{}, errSyntax
	}
	if e.Stream, err = parseStream(string(stream)); err != nil {
		return entry{}, err
	}
	// The CRI allows more tags behind the first one, after colons.
	first, _, _ := bytes.Cut(tag, []byte(":"))
	switch string(first) {
	case "F":
	case "P":
		e.Partial = true
	default:
		return entry{}, errSyntax
	}
	e.Text = text
	return e, nil
}

func parseStream(s string) (Stream, error) {
	switch s {
	case "stdout":
		return Stdout, nil
	case "stderr":
		return Stderr, nil
	}
	return 0, errSyntax
}

// jsonEntry is a line of docker's json-file driver.
type jsonEntry struct {
	Log    string `json:"log"` // with its line's end, when it has one
	Stream string `json:"stream"`
	Time   string `json:"time"`
}

func encodeJSON(dst, stamp []byte, s Stream, text []byte, partial bool) []byte {
	dst = append(dst, `{"log":"`...)
	dst = appendJSON(dst, text)
	if !partial {
		dst = append(dst, `\n`...)
	}
	dst = append(dst, `","stream":"`...)
	dst = append(dst, s.String()...)
	dst = append(dst, `","time":"`...)
	dst = append(dst, stamp...)
	return append(dst, "\"}\n"...)
}

// appendJSON appends text as the inside of a JSON string. Invalid UTF-8 becomes
// U+FFFD: JSON has no other place for it.
func appendJSON(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(text); {
		b := text[i]
		if b < utf8.RuneSelf {
			i++
			switch {
			case b == '"' || b == '\\':
				dst = append(dst, '\\', b)
			case b == '\t':
				dst = append(dst, `\t`...)
			case b == '\r':
				dst = append(dst, `\r`...)
			case b == '\n':
				dst = append(dst, `\n`...)
			case b < ' ' || b == 0x7f:
				dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			default:
				dst = append(dst, b)
			}
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, text[i:i+size]...)
		}
		i += size
	}
	return dst
}

// splitRunes cuts before a character that text holds only the beginning of.
func splitRunes(text []byte) int {
	for n := len(text) - 1; n > 0 && n > len(text)-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			if !utf8.FullRune(text[n:]) {
				return n
			}
			break
		}
	}
	return len(text)
}

func parseJSON(line []byte) (entry, error) {
	var j jsonEntry
	if err := json.Unmarshal(line, &j); err != nil {
		return entry{}, errSyntax
	}
	var e entry
	var err error
	if e.Time, err = time.Parse(time.RFC3339Nano, j.Time); err != nil {
		return entry{}, errSyntax
	}
	if e.Stream, err = parseStream(j.Stream); err != nil {
		return entry{}, err
	}
	e.Text = []byte(j.Log)
	if n := len(e.Text); n > 0 && e.Text[n-1] == '\n' {
		e.Text = e.Text[:n-1]
	} else {
		e.Partial = true
	}
	return e, nil
}
