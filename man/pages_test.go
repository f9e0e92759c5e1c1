package man

import (
	"os/exec"
	"strings"
	"testing"

	"vpod/pkg/cli"
)

// Pages fails when a command has no page, an option is not described, or one is
// that does not exist; so the first line is most of the test.
func TestPages(t *testing.T) {
	pages, err := Pages("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range cli.Describe() {
		name := strings.ReplaceAll(cmd.Path, " ", "-") + ".1"
		page := string(pages[name])
		if page == "" {
			t.Errorf("%s has no page", cmd.Path)
			continue
		}
		if target, ok := strings.CutPrefix(page, ".so man1/"); ok {
			if page = string(pages[strings.TrimSpace(target)]); page == "" {
				t.Errorf("%s leads to %s, which is none", name, target)
			}
		}
		for _, heading := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"} {
			if !strings.Contains(page, ".SH "+heading) {
				t.Errorf("%s has no section %s", name, heading)
			}
		}
		if cmd.Path != "vpod" && !strings.Contains(page, ".SH EXAMPLES") {
			t.Errorf("%s has no section EXAMPLES", name)
		}
		if !strings.Contains(page, strings.ToLower(cmd.Short[1:])) && !strings.Contains(page, cmd.Short[1:]) {
			t.Errorf("%s does not say %q", name, cmd.Short)
		}
		for _, f := range cmd.Flags {
			if f.Name != "help" && !strings.Contains(page, ".SS \\fB--"+f.Name+"\\fP") {
				t.Errorf("%s has no heading for --%s", name, f.Name)
			}
		}
	}
	for _, alias := range []string{"vpod-container-ls.1", "vpod-image-ls.1"} {
		if pages[alias] == nil {
			t.Errorf("there is no page %s", alias)
		}
	}
}

// References to pages of vpod lead somewhere.
func TestReferences(t *testing.T) {
	pages, err := Pages("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		for _, word := range strings.FieldsFunc(string(page), func(r rune) bool { return strings.ContainsRune(" ,\n.;:", r) }) {
			ref, ok := strings.CutSuffix(strings.ReplaceAll(word, `\-`, "-"), "(1)")
			if ok && strings.HasPrefix(ref, "vpod") && pages[ref+".1"] == nil {
				t.Errorf("%s names %s(1), which is none", name, ref)
			}
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	cmd := cli.Description{Path: "vpod x", Usage: "vpod x [options]", Short: "Do x", Flags: []cli.FlagDescription{{Name: "all", Short: "a"}, {Name: "file", Value: "name[:x]"}, {Name: "help"}}}
	tests := []struct{ name, text, want string }{
		{"unknown option", "# OPTIONS\n## all\nx\n## file\nx\n## nosuch\nx\n", "describes --nosuch"},
		{"left out", "# OPTIONS\n## all\nx\n", "leaves out --file"},
		{"twice", "# OPTIONS\n## all\nx\n## all\nx\n## file\nx\n", "describes --all twice"},
		{"nothing said", "# OPTIONS\n## all\n\n## file\nx\n", "says nothing of --all"},
		{"no such fragment", "# OPTIONS\n@@nosuch\n", "nosuch.md"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := compose(cmd, nil, tt.text, "1"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("compose: %v, want %q", err, tt.want)
			}
		})
	}
	page, err := compose(cmd, nil, "# DESCRIPTION\nIt does x.\n\n# OPTIONS\n## file\nA file.\n## all\nAll.\n```\n## no heading\n```\n", "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"vpod-x - do x\n", "**vpod x** *\\[options\\]*", "### **--all**, **-a**\nAll.", "### **--file**=*name\\[:x\\]*\nA file.", "## no heading"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Index(page, "--all") > strings.Index(page, "--file") {
		t.Errorf("options are not sorted:\n%s", page)
	}
}

// groff has something to say about mistakes that a reader would only see.
func TestPagesFormat(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	pages, err := Pages("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if strings.HasPrefix(string(page), ".so ") {
			continue
		}
		cmd := exec.Command(groff, "-man", "-t", "-Tutf8", "-ww", "-z")
		cmd.Stdin = strings.NewReader(string(page))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff on %s: %v\n%s", name, err, out)
		}
	}
}
