// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
)

// Network makes sockets in a network namespace.
type Network struct{ namespace *os.File }

// OpenNetwork opens the namespace at a path such as /proc/self/task/TID/ns/net.
func OpenNetwork(path string) (*Network, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &Network{f}, nil
}

// Close leaves the sockets as they are.
func (n *Network) Close() { n.namespace.Close() }

// Dial is a Dial. A port of the host's choice is bound, another one for each socket.
func (n *Network) Dial(t Transport, to netip.AddrPort) (Conn, error) {
	var fd int
	var err error
	osthread.Do(func() { fd, err = n.connected(t, to) })
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), to.String()), nil
}

// connected moves the calling thread.
func (n *Network) connected(t Transport, to netip.AddrPort) (int, error) {
	if err := unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return -1, fmt.Errorf("joining the network namespace: %w", err)
	}
	domain, address := sockaddr(to)
	kind := unix.SOCK_DGRAM
	if t == TCP {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(to netip.AddrPort) (domain int, _ unix.Sockaddr) {
	if to.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: Scope(to.Addr())}
}

// Scope is the zone of a link-local address, which is a number here, or 0.
func Scope(a netip.Addr) uint32 {
	zone, err := strconv.ParseUint(a.Zone(), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(zone)
}
