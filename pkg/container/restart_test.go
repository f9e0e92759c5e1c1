package container

import (
	"strings"
	"testing"
)

func TestParseRestartPolicy(t *testing.T) {
	tests := []struct {
		in   string
		want RestartPolicy
		err  string
	}{
		{in: "", want: RestartPolicy{Name: "no"}},
		{in: "no", want: RestartPolicy{Name: "no"}},
		{in: "never", want: RestartPolicy{Name: "no"}},
		{in: "always", want: RestartPolicy{Name: "always"}},
		{in: "unless-stopped", want: RestartPolicy{Name: "unless-stopped"}},
		{in: "on-failure", want: RestartPolicy{Name: "on-failure"}},
		{in: "on-failure:0", want: RestartPolicy{Name: "on-failure"}},
		{in: "on-failure:3", want: RestartPolicy{Name: "on-failure", MaxRetries: 3}},
		{in: "on-failure:", err: "whole number"},
		{in: "on-failure:-1", err: "whole number"},
		{in: "on-failure:1.5", err: "whole number"},
		{in: "on-failure:99999999999", err: "whole number"},
		{in: "on-failure:3:4", err: "whole number"},
		{in: "always:3", err: "takes no retry count"},
		{in: "no:", err: "takes no retry count"},
		{in: ":3", err: "takes no retry count"},
		{in: "Always", err: `unknown restart policy "Always"`},
		{in: "sometimes", err: "use no, always, on-failure[:N] or unless-stopped"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParseRestartPolicy(tt.in)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("ParseRestartPolicy(%q) = %v, want error %q", tt.in, err, tt.err)
			}
			if got != tt.want {
				t.Errorf("ParseRestartPolicy(%q) = %+v, want %+v", tt.in, got, tt.want)
			}
		})
	}
}

func TestRestartPolicyWants(t *testing.T) {
	tests := []struct {
		policy         string
		code, restarts int
		want           bool
	}{
		{"no", 1, 0, false},
		{"always", 0, 0, true},
		{"always", 1, 1000, true},
		{"unless-stopped", 0, 5, true},
		{"on-failure", 0, 0, false},
		{"on-failure", 1, 1000, true},
		{"on-failure:2", 1, 0, true},
		{"on-failure:2", 137, 1, true},
		{"on-failure:2", 1, 2, false},
		{"on-failure:2", 0, 0, false},
	}
	for _, tt := range tests {
		p, err := ParseRestartPolicy(tt.policy)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Wants(tt.code, tt.restarts); got != tt.want {
			t.Errorf("%s after exit %d and %d restarts: %v, want %v", tt.policy, tt.code, tt.restarts, got, tt.want)
		}
	}
	if (RestartPolicy{}).Wants(1, 0) {
		t.Error("the zero policy restarts")
	}
}
