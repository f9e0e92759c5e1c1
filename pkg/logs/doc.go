// Package logs keeps what containers print: drivers that write it to a file,
// and a reader that shows it again, from the end, between two times, or as it
// comes.
//
// The drivers are k8s-file (lines as conmon and the CRI write them, and Podman
// reads), json-file (lines as Docker writes them) and none. A file that would
// grow past its limit is replaced by an empty one, as conmon does: a follower
// loses nothing unless a whole file comes and goes before it looks, another
// reader finds what came since.
//
// The monitor writes, the logs command reads. The package knows nothing of
// containers besides a name to print.
package logs
