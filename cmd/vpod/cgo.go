//go:build cgo

package main

// vpod needs cgo: entering a user namespace is done by a C constructor, before
// Go's threads run. Built without, an ordinary user's vpod would start itself
// over and over. nocgo.go refuses such a build.

import "C"
