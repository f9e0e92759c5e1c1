package qemu

// LeastMemoryBytes is the least memory with which vpod's kernel and agent come up.
func LeastMemoryBytes(board Board) int64 { return 48 << 20 }
