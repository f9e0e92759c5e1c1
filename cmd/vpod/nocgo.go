//go:build !cgo

package main

// The name says what to do when the compiler reports it as undefined.
var _ = build_with_CGO_ENABLED_1
