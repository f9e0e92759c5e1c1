package qemu

// leastMemoryBytes is the least memory a machine gets, on either board. Measured with the guest kernel 6.12 and an
// initramfs of 3.2 MB under TCG: with 52 MiB the kernel panics before the agent is up, with 56 MiB a container of
// busybox runs and has 10 MB left on microvm, with 64 MiB it has 18 MB left on microvm and 27 MB on q35.
const leastMemoryBytes = 64 << 20

// LeastMemoryBytes is the least memory with which vpod's kernel and agent come up on a board and run something.
func LeastMemoryBytes(Board) int64 { return leastMemoryBytes }
