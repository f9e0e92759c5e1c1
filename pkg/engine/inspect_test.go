package engine

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
)

// Every key that podman 4.3.1 prints for a container is there: scripts ask for them
// with --format, and a missing one is an error. (The file is what `podman inspect`
// printed, without the keys of maps.)
func TestInspectHasPodmansKeys(t *testing.T) {
	e := testEngine(t)
	spec := testSpec()
	spec.StopSignal, spec.Image.Healthcheck = "SIGTERM", json.RawMessage(`{"Test":["NONE"]}`)
	spec.Process.Command = []string{"sleep", "5"}
	spec.CreateCommand, spec.Machine.CPUs = []string{"vpod", "create"}, 1.5
	spec.Created = time.Now()
	got, err := inspect(Listed{Container: container.Container{Spec: spec, Record: container.Record{State: container.Created}}}, e.dirs.Container(spec.ID), "/image.erofs")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("testdata/podman-inspect-keys")
	if err != nil {
		t.Fatal(err)
	}
	for key := range strings.Lines(string(list)) {
		key = strings.TrimSpace(key)
		var at any = keys
		for part := range strings.SplitSeq(key, ".") {
			m, _ := at.(map[string]any)
			var ok bool
			if at, ok = m[part]; !ok {
				t.Errorf("no key %s", key)
				break
			}
		}
	}
	if h := got.HostConfig; h.CPUPeriod != 100_000 || h.CPUQuota != 150_000 || h.NanoCPUs != 1_500_000_000 || h.MemorySwap != h.Memory {
		t.Errorf("limits of 1.5 CPUs: %+v", h)
	}
}
