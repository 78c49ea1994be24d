// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
)

// prepareNetwork describes the pods' network to CNI, and makes the daemon's own.
func (d *Daemon) prepareNetwork() error {
	if d.options.ownNetwork {
		netns, err := newNetNS()
		if err != nil {
			return fmt.Errorf("a network namespace for the daemon: %w", err)
		}
		d.netns = netns
	}
	if d.options.network == "" {
		return nil
	}
	subnet, err := freeSubnet()
	if err != nil {
		return err
	}
	d.Subnet = subnet
	if d.options.dualStack {
		d.Subnet6 = fmt.Sprintf("fd%02x:%x:%x:1::/64", rand.IntN(256), rand.IntN(1<<16), rand.IntN(1<<16))
	}
	network, err := json.MarshalIndent(d.network(), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Dir, "cni/10-network.conflist"), network, 0o600)
}

type object map[string]any

// network is a CNI network configuration list.
func (d *Daemon) network() object {
	ranges, routes := [][]object{{{"subnet": d.Subnet}}}, []object{}
	if d.Subnet6 != "" {
		ranges = append(ranges, []object{{"subnet": d.Subnet6}})
	}
	if d.options.network == ptp { // whose link leads to the gateway only
		routes = append(routes, object{"dst": "0.0.0.0/0"})
		if d.Subnet6 != "" {
			routes = append(routes, object{"dst": "::/0"})
		}
	}
	plugin := object{
		"type": d.options.network,
		"ipam": object{"type": "host-local", "dataDir": filepath.Join(d.Dir, "ipam"), "ranges": ranges, "routes": routes},
	}
	if d.options.network == bridge {
		plugin["bridge"], plugin["isGateway"] = d.Name, true
	}
	plugins := []object{plugin}
	if d.options.portmap {
		plugins = append(plugins, object{"type": "portmap", "capabilities": object{"portMappings": true}})
	}
	return object{"cniVersion": "1.0.0", "name": d.Name, "plugins": plugins}
}

// freeSubnet picks one that none of the machine's addresses is in.
func freeSubnet() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for range 100 {
		_, subnet, err := net.ParseCIDR(fmt.Sprintf("10.%d.%d.0/24", 100+rand.IntN(150), rand.IntN(256)))
		if err != nil {
			return "", err
		}
		if !overlaps(subnet, addrs) {
			return subnet.String(), nil
		}
	}
	return "", fmt.Errorf("no free subnet in 10.0.0.0/8")
}

func overlaps(subnet *net.IPNet, addrs []net.Addr) bool {
	for _, a := range addrs {
		if other, ok := a.(*net.IPNet); ok && (subnet.Contains(other.IP) || other.Contains(subnet.IP)) {
			return true
		}
	}
	return false
}

// newNetNS makes a network namespace with a loopback interface that is up.
func newNetNS() (netns *os.File, err error) {
	osthread.Do(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		if err = setUp("lo"); err != nil {
			return
		}
		netns, err = os.Open("/proc/thread-self/ns/net")
	})
	return netns, err
}

// setUp is `ip link set NAME up`, in the calling thread's network.
func setUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// InNetwork calls f on a thread in the network that the daemon has: that of the
// machine, or its own. Sockets that f makes stay there.
//
// Errors: that of entering it, or f's.
func (d *Daemon) InNetwork(f func() error) (err error) {
	if d.netns == nil {
		return f()
	}
	osthread.Do(func() {
		if err = d.enterNetwork(); err == nil {
			err = f()
		}
	})
	return err
}

// enterNetwork moves the calling thread.
func (d *Daemon) enterNetwork() error {
	if d.netns == nil {
		return nil
	}
	if err := unix.Setns(int(d.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the daemon's network: %w", err)
	}
	return nil
}

// ports are the host's ends of pods' links. In the machine's own network they are told
// from others' by their bridge.
func (d *Daemon) ports() []string {
	if d.netns == nil {
		paths, _ := filepath.Glob("/sys/class/net/" + d.Name + "/brif/*")
		return paths
	}
	var out []string
	err := d.InNetwork(func() error {
		links, err := net.Interfaces()
		for _, l := range links {
			if strings.HasPrefix(l.Name, "veth") {
				out = append(out, l.Name)
			}
		}
		return err
	})
	if err != nil {
		out = append(out, err.Error())
	}
	return out
}
