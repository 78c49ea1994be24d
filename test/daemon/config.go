// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

const config = `version = 4
imports = ["%[1]s/more.toml"]
root = %[2]q
state = %[3]q

[plugins.'io.containerd.server.v1.grpc']
address = %[4]q
[plugins.'io.containerd.server.v1.ttrpc']
address = "%[1]s/t.sock"
# Tells how many goroutines there are.
[plugins.'io.containerd.server.v1.debug']
address = "%[1]s/debug.sock"
[plugins.'io.containerd.nri.v1.nri']
socket_path = "%[1]s/nri.sock"

[plugins.'io.containerd.cri.v1.runtime']
# Works also where the tests themselves may not lower oom_score_adj.
restrict_oom_score_adj = true
# So that namespaces that are left over show.
netns_mounts_under_state_dir = true
cdi_spec_dirs = ["%[1]s/cdi"]
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
conf_dir = "%[1]s/cni"

[plugins.'io.containerd.wasm.v1.engine']
compile_timeout = "%[5]v"
# Tests have better uses for the processors, and some count processes.
optimize = "off"
`

// compileTimeout is the default, where patience asks for no more.
var compileTimeout = patience.For(2 * time.Minute)

const bridgeNetwork = `{
  "cniVersion": "1.0.0",
  "name": %[1]q,
  "plugins": [{
    "type": "bridge",
    "bridge": %[1]q,
    "isGateway": true,
    "ipam": {
      "type": "host-local",
      "dataDir": "%[2]s/ipam",
      "ranges": [[{"subnet": %[3]q}]]
    }
  }%[4]s]
}
`

const portmap = `, {"type": "portmap", "capabilities": {"portMappings": true}}`

// prepare makes the directories and the configuration.
func (d *Daemon) prepare() error {
	for _, dir := range []string{"d", "cni", "cdi", "tmp", "fifo"} {
		if err := os.MkdirAll(filepath.Join(d.Dir, dir), 0o711); err != nil {
			return err
		}
	}
	if d.options.tmpfs {
		if err := unix.Mount("tmpfs", filepath.Join(d.Dir, "d"), "tmpfs", 0, "mode=0711"); err != nil {
			return fmt.Errorf("mounting a tmpfs for the daemon's root: %w", err)
		}
	}
	if err := d.writeConfig(); err != nil {
		return err
	}
	if !d.options.bridge {
		return nil
	}
	subnet, err := freeSubnet()
	if err != nil {
		return err
	}
	d.Subnet = subnet
	var more string
	if d.options.portmap {
		more = portmap
	}
	network := fmt.Sprintf(bridgeNetwork, d.Name, d.Dir, d.Subnet, more)
	return os.WriteFile(filepath.Join(d.Dir, "cni/10-bridge.conflist"), []byte(network), 0o600)
}

func (d *Daemon) writeConfig() error {
	text := fmt.Sprintf(config, d.Dir, d.Root, d.State, d.Address, compileTimeout)
	if err := os.WriteFile(d.configPath(), []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Dir, "more.toml"), []byte("version = 4\n"+d.options.toml), 0o600)
}

func (d *Daemon) configPath() string { return filepath.Join(d.Dir, "config.toml") }

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

// FreeAddress has a port that nobody listens on, on loopback.
func FreeAddress() string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err.Error() // no daemon will start with that
	}
	defer l.Close()
	return l.Addr().String()
}
