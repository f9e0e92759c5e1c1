// Package cli is vpod's door: it turns a command line into a call of the engine
// and the engine's answer into text and an exit code.
//
// Each command lives in a file of its own name and reads the same way: a struct
// of flags, the call, the printed result. Flags that several commands share are
// embedded structs, so that `run` and `create` cannot drift apart. What a command
// needs of the engine is a small interface beside it; app.go puts them together
// and is the only file that names the engine's constructor.
//
// The package decides nothing about containers, opens no database and starts no
// machine: `vpod --help` touches no file. It is called by cmd/vpod alone, and is
// the only package that prints or chooses exit codes. How output looks is laid
// down in output.go, which code an error gives in exitcode.go.
package cli
