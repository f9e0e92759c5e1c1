// Package monitor keeps one machine: it starts QEMU and its helpers, holds the
// connection to the agent, and outlives the command that started it until the
// container has ended. It carries the output to the log and to attached clients,
// stops and restarts the container, and leaves a record of how it ended.
//
// Run is the monitor process itself, the hidden verb "vpod monitor". Launch holds
// its orders, which the engine writes; Attach, Stop and Kill are how other vpod
// processes talk to it. It opens neither the state database nor the image store,
// and it decides nothing that its orders do not say.
package monitor

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/qemu"
)

// LaunchVersion is the format of launch.json; a monitor refuses another.
const LaunchVersion = 1

// Launch is everything a monitor needs: it opens neither the database nor the
// image store. The engine computes it (plan.go) and writes it to launch.json.
type Launch struct {
	Version int `json:"version"`

	// A machine belongs to one container today; a pod's will list several.
	Containers []LaunchContainer `json:"containers"`

	DataDir string `json:"dataDir"` // paths.Container.Data of the machine's owner
	RunDir  string `json:"runDir"`

	QEMU        string             `json:"qemu"`    // path of the binary
	Machine     qemu.Machine       `json:"machine"` // descriptors and sidecar sockets are filled in by the monitor
	Guest       agentproto.Machine `json:"guest"`   // time and entropy are filled in at each start
	Network     Network            `json:"network"`
	Virtiofsd   []Virtiofsd        `json:"virtiofsd,omitempty"` // one for each virtiofs share of Machine
	BootTimeout time.Duration      `json:"bootTimeout"`
	Template    *Template          `json:"template,omitempty"` // nil boots the machine cold

	memory *os.File // in place of the file Machine.MemoryPath, where a template is made; stays the caller's

	// ReleaseCommand is run (argv, detached) after an AutoRemove container has
	// ended when no attached client has promised to remove it; with
	// ReleaseAlways, also after one that stays has ended.
	ReleaseCommand []string `json:"releaseCommand,omitempty"`
	ReleaseAlways  bool     `json:"releaseAlways,omitempty"`

	// Timing has the monitor say what it did when, in its reports and exit frames.
	Timing bool `json:"timing,omitempty"`
}

// LaunchContainer is one container of the machine.
type LaunchContainer struct {
	ID       string                  `json:"id"`
	Name     string                  `json:"name"`
	Guest    agentproto.Container    `json:"guest"`
	Process  agentproto.Process      `json:"process"`
	Log      container.Log           `json:"log"`
	Restart  container.RestartPolicy `json:"restart"`
	Restarts int                     `json:"restarts"` // restarts that came before this monitor

	StopSignal  int           `json:"stopSignal"`
	StopTimeout time.Duration `json:"stopTimeout"`
	Timeout     time.Duration `json:"timeout,omitempty"` // kill after this long; 0 is never
	AutoRemove  bool          `json:"autoRemove,omitempty"`
}

// Network tells the monitor which helper to start for the machine's NIC.
type Network struct {
	Mode container.NetworkMode `json:"mode"`

	// Passt is the path of passt; "" uses QEMU's built-in user network.
	Passt     string                  `json:"passt,omitempty"`
	PasstArgs []string                `json:"passtArgs,omitempty"` // without the socket; see sidecar.PasstArgs
	Ports     []container.PortMapping `json:"ports,omitempty"`
	Addresses []string                `json:"addresses,omitempty"` // of the guest, for status
	Gateway   string                  `json:"gateway,omitempty"`
}

// Virtiofsd tells the monitor which virtiofsd to start for a share of the machine.
type Virtiofsd struct {
	Tag   string `json:"tag"`             // of the share in Machine.Shares
	Path  string `json:"path"`            // of the binary
	Dir   string `json:"dir"`             // the shared directory
	Cache string `json:"cache,omitempty"` // see sidecar.VirtiofsdConfig
}

// Template is a saved machine that Launch.Machine may be restored from. When that
// does not work, the machine boots cold.
type Template struct {
	Key   string `json:"key"`
	RAM   string `json:"ram"`   // file of its memory, which is mapped privately
	State string `json:"state"` // file of its processors' and devices' state

	Hello agentproto.HelloReply `json:"hello"` // what its agent said before it was saved
}

// Read loads a launch file.
func Read(path string) (*Launch, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read launch orders: %w", err)
	}
	var l Launch
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("read launch orders %s: %w", path, err)
	}
	if l.Version != LaunchVersion {
		return nil, fmt.Errorf("launch orders %s have version %d, this vpod reads %d", path, l.Version, LaunchVersion)
	}
	return &l, nil
}
