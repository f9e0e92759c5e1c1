package agentclient

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns text from the guest as one line that is safe to show: what a
// terminal would act upon (control and invisible formatting characters, invalid
// UTF-8) becomes a space or disappears, and what is longer than limit bytes is cut off.
func Printable(s string, limit int) string {
	var b strings.Builder
	space := false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case unicode.IsSpace(r), r < ' ':
			space = b.Len() > 0
			continue
		case r == utf8.RuneError && size == 1:
			r = '?'
		case !unicode.IsGraphic(r):
			continue
		}
		if b.Len()+utf8.RuneLen(r)+len(" …") > limit {
			return b.String() + "…"
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
