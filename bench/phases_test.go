package main

import (
	"reflect"
	"testing"
)

func TestPhaseRows(t *testing.T) {
	const first = `{"totalNanos":10000000,"phases":[{"by":"vpod","what":"plan","beginNanos":0,"tookNanos":4000000},{"by":"guest","what":"mount","beginNanos":4000000,"tookNanos":5000000},{"by":"vpod","what":"plan","beginNanos":9000000,"tookNanos":1000000}]}`
	const second = `{"totalNanos":20000000,"phases":[{"by":"guest","what":"mount","beginNanos":1000000,"tookNanos":20000000}]}`
	var all []phases
	for _, s := range []string{"a warning\n" + first, second} {
		p, err := parsePhases(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	got := map[string][]float64{}
	var order []string
	for _, r := range phaseRows(all) {
		order = append(order, r.Title)
		got[r.Title] = r.Samples[ours]
	}
	want := map[string][]float64{"vpod: plan": {5}, "guest: mount": {5, 20}, "all of it": {10, 20}}
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(order, []string{"vpod: plan", "guest: mount", "all of it"}) {
		t.Errorf("phaseRows() = %v in the order %q, want %v", got, order, want)
	}
	if _, err := parsePhases("Error: no"); err == nil {
		t.Error("parsePhases: no error for what is no report")
	}
}
