package man

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vpod/pkg/cli"
)

// compose makes the Markdown of a whole page of the hand-written part: sections
// ("# NAME"), in OPTIONS one "## long-name" for each option, and lines
// "@@fragment" that stand for a file of fragments/.
func compose(cmd cli.Description, longForms []cli.Description, text, version string) (string, error) {
	text, err := include(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	page := strings.ReplaceAll(cmd.Path, " ", "-")
	fmt.Fprintf(&out, "%% %s 1 \"\" \"vpod %s\" \"vpod manual\"\n\n", strings.ToUpper(page), version)
	fmt.Fprintf(&out, "# NAME\n\n%s - %s\n\n", page, lowerFirst(cmd.Short))
	out.WriteString("# SYNOPSIS\n\n")
	for i, form := range append([]cli.Description{cmd}, longForms...) {
		if i > 0 {
			out.WriteString("\n")
		}
		out.WriteString(synopsis(form) + "\n")
	}
	documented := map[string]bool{}
	for _, s := range split(text, "# ") {
		if s.heading != "OPTIONS" {
			fmt.Fprintf(&out, "\n# %s\n%s", s.heading, s.body)
			continue
		}
		options := split(s.body, "## ")
		slices.SortStableFunc(options, func(a, b section) int { return strings.Compare(a.heading, b.heading) })
		out.WriteString("\n# OPTIONS\n")
		for _, o := range options {
			flag, ok := findFlag(cmd, o.heading)
			if !ok {
				return "", fmt.Errorf("describes --%s, which %s has not", o.heading, cmd.Path)
			}
			if documented[o.heading] {
				return "", fmt.Errorf("describes --%s twice", o.heading)
			}
			if strings.TrimSpace(o.body) == "" {
				return "", fmt.Errorf("says nothing of --%s", o.heading)
			}
			documented[o.heading] = true
			fmt.Fprintf(&out, "\n### %s\n%s", heading(flag), o.body)
		}
	}
	var errs []error
	for _, f := range cmd.Flags {
		if !documented[f.Name] && f.Name != "help" {
			errs = append(errs, fmt.Errorf("leaves out --%s", f.Name))
		}
	}
	return out.String(), errors.Join(errs...)
}

// include puts fragments in place of their names.
func include(text string) (string, error) {
	var out strings.Builder
	for _, line := range strings.Split(text, "\n") {
		name, ok := strings.CutPrefix(line, "@@")
		if !ok {
			out.WriteString(line + "\n")
			continue
		}
		fragment, err := sources.ReadFile("fragments/" + name + ".md")
		if err != nil {
			return "", err
		}
		out.Write(fragment)
	}
	return out.String(), nil
}

// section is a heading with the text below it.
type section struct{ heading, body string }

// split divides text at the lines that begin with mark, outside of code.
func split(text, mark string) []section {
	var out []section
	code := false
	for _, line := range strings.SplitAfter(text, "\n") {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if name, ok := strings.CutPrefix(line, mark); ok && !code {
			out = append(out, section{heading: strings.TrimSpace(name)})
			continue
		}
		if len(out) > 0 {
			out[len(out)-1].body += line
		}
	}
	return out
}

func findFlag(cmd cli.Description, name string) (cli.FlagDescription, bool) {
	for _, f := range cmd.Flags {
		if f.Name == name {
			return f, true
		}
	}
	return cli.FlagDescription{}, false
}

// heading is an option as a man page names it: "**--env**, **-e**=*KEY*".
func heading(f cli.FlagDescription) string {
	h := "**--" + f.Name + "**"
	if f.Short != "" {
		h += ", **-" + f.Short + "**"
	}
	if f.Value != "" {
		h += "=*" + escape(f.Value) + "*"
	}
	return h
}

// synopsis is a usage line with the command in bold and the rest in italics.
func synopsis(d cli.Description) string {
	rest := strings.TrimSpace(strings.TrimPrefix(d.Usage, d.Path))
	line := "**" + d.Path + "**"
	for _, word := range strings.Fields(rest) {
		line += " " + "*" + escape(strings.ToLower(word)) + "*"
	}
	return line
}

// escape keeps Markdown from reading brackets and the like in a value.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`, "|", `\|`).Replace(s)
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
