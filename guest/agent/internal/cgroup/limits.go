package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// setting is one file of a group and what to write to it.
type setting struct {
	file, value string
	optional    bool // a kernel without the file is no failure
}

// Apply sets the group's limits. availableBytes is the memory containers may use
// at all: without a limit of its own the group is limited to that, so that running
// out of memory ends a process of the container and nothing else.
func (g *Group) Apply(r *specs.LinuxResources, availableBytes int64) error {
	list, err := settings(r, availableBytes)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := g.write(s.file, s.value); err != nil {
			if s.optional && errors.Is(err, os.ErrNotExist) {
				continue
			}
			return err
		}
	}
	return nil
}

// settings turns resources into what is written, in order.
func settings(r *specs.LinuxResources, availableBytes int64) ([]setting, error) {
	if r == nil {
		r = &specs.LinuxResources{}
	}
	list, err := memorySettings(r.Memory, availableBytes)
	if err != nil {
		return nil, err
	}
	cpu, err := cpuSettings(r.CPU)
	if err != nil {
		return nil, err
	}
	list = append(list, cpu...)
	if r.Pids != nil && r.Pids.Limit != nil {
		list = append(list, setting{file: "pids.max", value: limit(*r.Pids.Limit)})
	}
	io, err := ioSettings(r.BlockIO)
	if err != nil {
		return nil, err
	}
	list = append(list, io...)
	for _, h := range r.HugepageLimits {
		if !plain(h.Pagesize) {
			return nil, fmt.Errorf("huge page size %q is not one", h.Pagesize)
		}
		list = append(list, setting{file: "hugetlb." + h.Pagesize + ".max", value: strconv.FormatUint(h.Limit, 10)})
	}
	for _, dev := range slices.Sorted(maps.Keys(r.Rdma)) {
		list = append(list, setting{file: "rdma.max", value: rdma(dev, r.Rdma[dev])})
	}
	if r.Network != nil && (r.Network.ClassID != nil || len(r.Network.Priorities) > 0) {
		return nil, errors.New("network classes and priorities do not exist in version 2 control groups")
	}
	for _, file := range slices.Sorted(maps.Keys(r.Unified)) {
		if !plain(file) || !strings.Contains(file, ".") {
			return nil, fmt.Errorf("%q is not the name of a control group's file", file)
		}
		list = append(list, setting{file: file, value: r.Unified[file]})
	}
	return list, nil
}

// plain reports whether a name stays within the group's directory.
func plain(name string) bool {
	return name != "" && name[0] != '.' && !strings.ContainsAny(name, "/\x00")
}

// limit prints a bound; OCI's 0 and -1 are no bound.
func limit(n int64) string {
	if n <= 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func memorySettings(m *specs.LinuxMemory, availableBytes int64) ([]setting, error) {
	if m == nil {
		m = &specs.LinuxMemory{}
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		return nil, errors.New("the OOM killer of a version 2 control group cannot be disabled")
	}
	top := availableBytes
	if m.Limit != nil && *m.Limit > 0 {
		top = min(top, *m.Limit)
	}
	list := []setting{{file: "memory.max", value: limit(top)}}
	if m.Swap != nil {
		// Version 1's, and OCI's, bound is of memory and swap together.
		value := "max"
		if *m.Swap > 0 {
			if m.Limit == nil || *m.Swap < *m.Limit {
				return nil, fmt.Errorf("bound of %d bytes on memory and swap is below that on memory", *m.Swap)
			}
			value = strconv.FormatInt(*m.Swap-*m.Limit, 10)
		}
		list = append(list, setting{file: "memory.swap.max", value: value, optional: true})
	}
	if m.Reservation != nil && *m.Reservation > 0 {
		list = append(list, setting{file: "memory.low", value: limit(*m.Reservation)})
	}
	return list, nil
}

func cpuSettings(c *specs.LinuxCPU) ([]setting, error) {
	if c == nil {
		return nil, nil
	}
	if (c.RealtimeRuntime != nil && *c.RealtimeRuntime != 0) || (c.RealtimePeriod != nil && *c.RealtimePeriod != 0) {
		return nil, errors.New("real-time bounds do not exist in version 2 control groups")
	}
	var list []setting
	if c.Idle != nil {
		list = append(list, setting{file: "cpu.idle", value: strconv.FormatInt(*c.Idle, 10)})
	}
	if c.Shares != nil && *c.Shares != 0 {
		list = append(list, setting{file: "cpu.weight", value: strconv.FormatUint(weight(*c.Shares), 10)})
	}
	if c.Quota != nil || c.Period != nil {
		value := "max"
		if c.Quota != nil {
			value = limit(*c.Quota)
		}
		if c.Period != nil && *c.Period != 0 {
			value += " " + strconv.FormatUint(*c.Period, 10)
		}
		list = append(list, setting{file: "cpu.max", value: value})
	}
	if c.Burst != nil {
		list = append(list, setting{file: "cpu.max.burst", value: strconv.FormatUint(*c.Burst, 10)})
	}
	if c.Cpus != "" {
		list = append(list, setting{file: "cpuset.cpus", value: c.Cpus})
	}
	if c.Mems != "" {
		list = append(list, setting{file: "cpuset.mems", value: c.Mems})
	}
	return list, nil
}

// weight turns version 1's shares, 2 to 262144, into version 2's weight, 1 to
// 10000, as runc and crun do.
func weight(shares uint64) uint64 {
	shares = min(max(shares, 2), 262144)
	return 1 + (shares-2)*9999/262142
}

func ioSettings(b *specs.LinuxBlockIO) ([]setting, error) {
	if b == nil {
		return nil, nil
	}
	if b.LeafWeight != nil && *b.LeafWeight != 0 {
		return nil, errors.New("leaf weights do not exist in version 2 control groups")
	}
	var list []setting
	if b.Weight != nil && *b.Weight != 0 {
		list = append(list, setting{file: "io.weight", value: strconv.FormatUint(ioWeight(*b.Weight), 10)})
	}
	for _, d := range b.WeightDevice {
		if d.LeafWeight != nil && *d.LeafWeight != 0 {
			return nil, errors.New("leaf weights do not exist in version 2 control groups")
		}
		if d.Weight != nil {
			list = append(list, setting{file: "io.weight", value: fmt.Sprintf("%d:%d %d", d.Major, d.Minor, ioWeight(*d.Weight))})
		}
	}
	for _, t := range []struct {
		key     string
		devices []specs.LinuxThrottleDevice
	}{
		{"rbps", b.ThrottleReadBpsDevice}, {"wbps", b.ThrottleWriteBpsDevice},
		{"riops", b.ThrottleReadIOPSDevice}, {"wiops", b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.devices {
			list = append(list, setting{file: "io.max", value: fmt.Sprintf("%d:%d %s=%d", d.Major, d.Minor, t.key, d.Rate)})
		}
	}
	return list, nil
}

// ioWeight turns version 1's weight, 10 to 1000, into version 2's, 1 to 10000,
// as crun does.
func ioWeight(w uint16) uint64 {
	n := uint64(min(max(w, 10), 1000))
	return 1 + (n-10)*9999/990
}

func rdma(dev string, r specs.LinuxRdma) string {
	text := dev
	if r.HcaHandles != nil {
		text += " hca_handle=" + strconv.FormatUint(uint64(*r.HcaHandles), 10)
	}
	if r.HcaObjects != nil {
		text += " hca_object=" + strconv.FormatUint(uint64(*r.HcaObjects), 10)
	}
	return text
}
