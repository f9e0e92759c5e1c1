package seccomp

import "strings"

// call is a row of the generated table.
type call struct {
	name string
	nr   [abiCount]int32 // -1 where the call does not exist
}

// lookup finds a system call by the kernel's name, nil if the table has none.
// A sorted array in place of a map costs nothing when the program starts.
func lookup(name string) *call {
	lo, hi := 0, len(table)
	for lo < hi {
		mid := (lo + hi) / 2
		switch strings.Compare(name, table[mid].name) {
		case 0:
			return &table[mid]
		case -1:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return nil
}
