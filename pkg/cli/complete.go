package cli

import (
	"context"
	"strings"

	"github.com/containers/common/pkg/completion"
	"github.com/spf13/cobra"

	"vpod/pkg/container"
)

// completer proposes words for the shell; it never fails.
type completer interface {
	CompleteContainers(ctx context.Context, states ...container.State) []string
	CompleteImages(ctx context.Context) []string
	CompleteTemplates(ctx context.Context) []string
}

// words is a function that offers words for an argument or a flag's value.
type words = cobra.CompletionFunc

// completeFlag sets what the shell offers for a flag's value.
func completeFlag(cmd *cobra.Command, flag string, offer words) {
	if err := cmd.RegisterFlagCompletionFunc(flag, offer); err != nil {
		panic(err) // a mistake in this package: no such flag, or set twice
	}
}

// noWords offers nothing: values that only the user knows.
func noWords(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// fixedWords offers a list.
func fixedWords(list ...string) words {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// keyWords offers the beginnings of KEY=VALUE.
func keyWords(keys ...string) words {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// oneWord offers for the first argument only; files may follow.
func oneWord(offer words) words {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return offer(cmd, args, toComplete)
	}
}

// containerWords offers containers in one of the states, or in any. Those that
// the line names already are left out.
func (app *App) containerWords(states ...container.State) words {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		eng, err := app.engine()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offered(eng.CompleteContainers(cmd.Context(), states...), args, toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// imageWords offers images in the local store.
func (app *App) imageWords(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return offered(app.localImages(cmd), args, toComplete), cobra.ShellCompDirectiveNoFileComp
}

// localImages are the names of images; none where the store cannot be opened.
func (app *App) localImages(cmd *cobra.Command) []string {
	if app.enterStore() != nil {
		return nil
	}
	eng, err := app.engine()
	if err != nil {
		return nil
	}
	return eng.CompleteImages(cmd.Context())
}

// templateWords offers the keys of machine templates.
func (app *App) templateWords(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	eng, err := app.engine()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return offered(eng.CompleteTemplates(cmd.Context()), args, toComplete), cobra.ShellCompDirectiveNoFileComp
}

// containerOrImageWords offers both, as inspect takes them.
func (app *App) containerOrImageWords(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	containers, _ := app.containerWords()(cmd, args, toComplete)
	return append(containers, offered(app.localImages(cmd), args, toComplete)...), cobra.ShellCompDirectiveNoFileComp
}

// offered returns the words of list that begin as what is typed and are not in taken.
func offered(list, taken []string, typed string) []string {
	have := map[string]bool{}
	for _, t := range taken {
		have[t] = true
	}
	var out []string
	for _, w := range list {
		name, _, _ := strings.Cut(w, "\t") // a description may follow
		if !have[name] && strings.HasPrefix(name, typed) {
			out = append(out, w)
		}
	}
	return out
}

// containerFilterWords offers the filters of ps, and the values of some.
func (app *App) containerFilterWords(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	key, _, valued := strings.Cut(toComplete, "=")
	if !valued {
		return keyWords("id=", "name=", "status=", "exited=", "label=", "ancestor=", "network=", "before=", "since=", "until=", "restart-policy=")(cmd, args, toComplete)
	}
	var values []string
	switch key {
	case "status":
		values = []string{"created", "starting", "running", "paused", "restarting", "stopping", "exited", "removing"}
	case "restart-policy":
		values = []string{"no", "always", "on-failure", "unless-stopped"}
	case "network":
		values = []string{"none", "user"}
	case "ancestor":
		values = app.localImages(cmd)
	case "name", "id", "before", "since":
		values, _ = app.containerWords()(cmd, nil, "")
	}
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, key+"="+v)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// signalWords offers the usual signals.
func signalWords(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH"}, cobra.ShellCompDirectiveNoFileComp
}

// completeFlags offers values of the options of run and create.
func (f *createFlags) completeFlags(app *App, cmd *cobra.Command) {
	cmd.ValidArgsFunction = oneWord(app.imageWords)
	f.fetchFlags.completeFlags(cmd)
	for flag, offer := range map[string]words{
		"pull":         fixedWords(pullPolicies...),
		"restart":      fixedWords("no", "always", "on-failure", "on-failure:", "unless-stopped"),
		"stop-signal":  signalWords,
		"cap-add":      completion.AutocompleteCapabilities,
		"cap-drop":     completion.AutocompleteCapabilities,
		"security-opt": keyWords("no-new-privileges", "seccomp=", "seccomp=unconfined", "mask=", "unmask=", "unmask=ALL"),
		"rootfs-mode":  fixedWords(rootfsModes...),
		"storage-opt":  keyWords("size="),
		"machine":      fixedWords(boards...),
		"accel":        fixedWords(accels...),
		"template":     fixedWords(templateChoices...),
		"network":      fixedWords(networkModes...),
		"log-driver":   fixedWords(logDrivers...),
		"log-opt":      keyWords("path=", "max-size=", "tag="),
	} {
		completeFlag(cmd, flag, offer)
	}
	for _, flag := range []string{
		"add-host", "annotation", "cpus", "dns", "dns-option", "dns-search", "entrypoint", "env", "group-add", "hostname", "kernel-arg",
		"label", "memory", "name", "pids-limit", "publish", "shm-size", "stop-timeout", "sysctl", "timeout", "tmpfs", "tz", "ulimit", "umask",
		"user", "workdir",
	} {
		completeFlag(cmd, flag, noWords)
	}
}

// completeFlags offers platforms.
func (f *platformFlags) completeFlags(cmd *cobra.Command) {
	completeFlag(cmd, "platform", completion.AutocompletePlatform)
	completeFlag(cmd, "os", completion.AutocompleteOS)
	completeFlag(cmd, "arch", completion.AutocompleteArch)
	completeFlag(cmd, "variant", noWords)
}
