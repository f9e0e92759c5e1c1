//go:build !cgo

package image

// Without cgo the constructors that enter user namespaces are missing, and every
// child of a rootless process would start another for ever.
var _ = build_with_CGO_ENABLED_1
