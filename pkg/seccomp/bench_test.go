package seccomp

import "testing"

// podmanCaps is Podman's default bounding set.
var podmanCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
	"CAP_SETUID", "CAP_SYS_CHROOT",
}

func BenchmarkDefault(b *testing.B) {
	for b.Loop() {
		prog, err := Default(podmanCaps)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(prog)/insnBytes), "insns")
	}
}
