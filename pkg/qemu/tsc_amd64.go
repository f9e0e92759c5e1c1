package qemu

const haveTSC = true

// rdtsc reads the time stamp counter, after all instructions before it.
func rdtsc() int64
