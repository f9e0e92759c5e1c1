package engine

import (
	"runtime"
	"strconv"
	"time"

	"vpod/pkg/agentproto"
)

// Release is vpod's version (semver.org). The Makefile reads it from this line.
const Release = "0.1.0"

// gitCommit is set by the linker (Makefile, LDFLAGS).
var gitCommit string

// Version is what `version` prints, with Podman's keys.
type Version struct {
	Client VersionInfo `json:"Client"`
}

// VersionInfo describes one build.
type VersionInfo struct {
	APIVersion string `json:"APIVersion"` // of the agent's protocol
	Version    string `json:"Version"`
	GoVersion  string `json:"GoVersion"`
	GitCommit  string `json:"GitCommit"`
	BuiltTime  string `json:"BuiltTime"`
	Built      int64  `json:"Built"` // seconds since 1970; 0 for builds that can be repeated
	OsArch     string `json:"OsArch"`
	Os         string `json:"Os"`
}

// Version returns what this build is.
func (*Engine) Version() Version {
	return Version{Client: VersionInfo{
		APIVersion: strconv.Itoa(agentproto.Version),
		Version:    Release,
		GoVersion:  runtime.Version(),
		GitCommit:  gitCommit,
		BuiltTime:  time.Unix(0, 0).UTC().Format(time.ANSIC),
		OsArch:     runtime.GOOS + "/" + runtime.GOARCH,
		Os:         runtime.GOOS,
	}}
}
