package image

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/containers/storage"
	"github.com/opencontainers/go-digest"
)

const commitBase = `{"architecture":"amd64","os":"linux","x-unknown":{"kept":1},"container":"abc","author":"first","config":{"Env":["PATH=/bin","OLD=1"],"Cmd":["old"],
"Entrypoint":["/entry"],"Labels":{"a":"1"},"Volumes":{"/v":{}},"Healthcheck":{"Test":["NONE"]},"Shell":["/bin/ash","-c"],"WorkingDir":"/w","OnBuild":["RUN x"]},
"history":[{"created_by":"made"}],"rootfs":{"type":"layers","diff_ids":["sha256:1"]}}`

func TestCommitConfig(t *testing.T) {
	layers := []*storage.Layer{{UncompressedDigest: digest.FromString("one")}, {UncompressedDigest: digest.FromString("two"), UncompressedSize: 7}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	container := ContainerConfig{Cmd: []string{"own"}, Env: []string{"PATH=/bin", "OLD=1"}, Labels: map[string]string{"b": "2"}, User: "5", Ports: []string{"80/tcp"}}
	for _, tt := range []struct {
		name       string
		opts       CommitOptions
		want, none []string
	}{
		{"plain", CommitOptions{BaseName: "img", Container: container},
			[]string{`"x-unknown":{"kept":1}`, `"author":"first"`, `"Cmd":["own"]`, `"Env":["PATH=/bin","OLD=1"]`, `"Labels":{"a":"1","b":"2"}`, `"User":"5"`, `"80/tcp":{}`,
				`"/v":{}`, `"Healthcheck":{"Test":["NONE"]}`, `"WorkingDir":"/w"`, `"created_by":"/bin/ash -c"`, `"comment":"FROM img"`, `"created_by":"made"`,
				`"created":"2026-01-02T03:04:05Z"`, digest.FromString("two").String()},
			[]string{`"Entrypoint"`, `"container"`, `sha256:1"`}},
		{"changed", CommitOptions{Format: "docker", Author: "me", Message: "note", Squash: true, Container: container,
			Changes:  []string{"ENV OLD=2", `CMD ["new"]`, "ENTRYPOINT [\"/e\"]", "ONBUILD RUN y", "VOLUME /w", "EXPOSE 81", "LABEL a=3", "STOPSIGNAL SIGHUP", "USER u", "WORKDIR /d"},
			Override: []byte(`{"Hostname":"h","User":"last"}`)},
			[]string{`"Env":["PATH=/bin","OLD=2"]`, `"Cmd":["new"]`, `"Entrypoint":["/e"]`, `"OnBuild":["RUN x","RUN y"]`, `"/w":{}`, `"81/tcp":{}`, `"a":"3"`, `"StopSignal":"1"`,
				`"User":"last"`, `"Hostname":"h"`, `"WorkingDir":"/d"`, `"author":"me"`, `"comment":"note"`},
			[]string{`"created_by":"made"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := tt.opts.plan()
			if err != nil {
				t.Fatal(err)
			}
			config, err := newConfig([]byte(commitBase), plan, layers, now, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.want {
				if !strings.Contains(string(config), s) {
					t.Errorf("no %s in %s", s, config)
				}
			}
			for _, s := range tt.none {
				if strings.Contains(string(config), s) {
					t.Errorf("%s in %s", s, config)
				}
			}
			list, err := newManifest(config, layers, tt.opts.Format)
			if err != nil || !json.Valid(list) || !strings.Contains(string(list), digest.FromBytes(config).String()) || !strings.Contains(string(list), `"size":7`) {
				t.Errorf("manifest %s, %v", list, err)
			}
		})
	}
}

func TestCommitRefuses(t *testing.T) {
	for _, tt := range []struct {
		opts CommitOptions
		want string
	}{
		{CommitOptions{Message: "x"}, "docker image format"},
		{CommitOptions{Changes: []string{"ONBUILD RUN x"}}, "docker image format"},
		{CommitOptions{Changes: []string{"FOO x"}}, "FOO"},
		{CommitOptions{Override: []byte(`{"Nonsense":1}`)}, "Nonsense"},
		{CommitOptions{Override: []byte(`[]`)}, "configuration to merge"},
	} {
		if _, err := tt.opts.plan(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.opts, err, tt.want)
		}
	}
}
