// Package man makes vpod's man pages: from hand-written Markdown beside this
// file, and from what the commands say of themselves. Names, synopses and the
// headings of options come from the commands, so that they cannot disagree with
// --help; a page that describes an option the command has not, or leaves one
// out, cannot be made.
//
// It is called by man/mkman, for `make docs`, and by its tests; vpod does not
// contain it.
package man

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"

	"vpod/pkg/cli"
)

//go:embed *.md fragments/*.md
var sources embed.FS

// Pages returns the man pages by file name, as "vpod-run.1".
func Pages(version string) (map[string][]byte, error) {
	written, err := fs.Glob(sources, "*.md")
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	used := map[string]bool{}
	var errs []error
	all := cli.Describe()
	for _, cmd := range all {
		name := pageOf(cmd.Path, all)
		own := strings.ReplaceAll(cmd.Path, " ", "-")
		for _, alias := range cmd.Aliases {
			pages[path.Base(strings.TrimSuffix(own, lastWord(cmd.Path))+alias)+".1"] = link(name)
		}
		if name != own {
			pages[own+".1"] = link(name)
			continue
		}
		text, err := sources.ReadFile(name + ".md")
		if err != nil {
			errs = append(errs, fmt.Errorf("%s has no page: write man/%s.md", cmd.Path, name))
			continue
		}
		used[name+".md"] = true
		md, err := compose(cmd, longForms(name, all), string(text), version)
		if err != nil {
			errs = append(errs, fmt.Errorf("man/%s.md: %w", name, err))
			continue
		}
		pages[name+".1"] = md2man.Render([]byte(md))
	}
	for _, w := range written {
		if !used[w] {
			errs = append(errs, fmt.Errorf("man/%s describes no command", w))
		}
	}
	return pages, errors.Join(errs...)
}

// otherNames are the long forms whose last word is not that of the short form.
var otherNames = map[string]string{
	"vpod container list": "vpod-ps",
	"vpod image list":     "vpod-images",
	"vpod buildx build":   "vpod-build",
	"vpod image rm":       "vpod-rmi",
}

// pageOf is the page that describes a command: that of its short form, if it has
// one.
func pageOf(command string, all []cli.Description) string {
	if page, ok := otherNames[command]; ok {
		return page
	}
	words := strings.Fields(command)
	if len(words) == 3 && words[2] != "inspect" && (words[1] == "container" || words[1] == "image") {
		short := words[0] + " " + words[2]
		if slices.ContainsFunc(all, func(d cli.Description) bool { return d.Path == short }) {
			return strings.ReplaceAll(short, " ", "-")
		}
	}
	return strings.ReplaceAll(command, " ", "-")
}

// longForms are the commands a page describes besides its own.
func longForms(page string, all []cli.Description) []cli.Description {
	var out []cli.Description
	for _, d := range all {
		if pageOf(d.Path, all) == page && strings.ReplaceAll(d.Path, " ", "-") != page {
			out = append(out, d)
		}
	}
	return out
}

// link is a page that shows another one (man(7), ".so").
func link(page string) []byte { return []byte(".so man1/" + page + ".1\n") }

func lastWord(s string) string { return s[strings.LastIndex(s, " ")+1:] }
