package network

import (
	"crypto/rand"
	"fmt"
	"net"
)

// NewMAC returns a random MAC address, locally administered and unicast.
func NewMAC() string {
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac) // never fails, see crypto/rand
	mac[0] = mac[0]&^3 | 2
	return mac.String()
}

// ParseMAC reads the MAC address of a NIC.
func ParseMAC(s string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(s)
	switch {
	case err != nil || len(mac) != 6:
		return nil, fmt.Errorf("invalid MAC address %q: the form is 02:11:22:33:44:55", s)
	case mac[0]&1 != 0:
		return nil, fmt.Errorf("invalid MAC address %q: it is a multicast address; the first byte must be even", s)
	}
	return mac, nil
}
