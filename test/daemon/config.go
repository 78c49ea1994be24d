// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
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
	return d.prepareNetwork()
}

func (d *Daemon) writeConfig() error {
	text := fmt.Sprintf(config, d.Dir, d.Root, d.State, d.Address, compileTimeout)
	if err := os.WriteFile(d.configPath(), []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Dir, "more.toml"), []byte("version = 4\n"+d.options.toml), 0o600)
}

func (d *Daemon) configPath() string { return filepath.Join(d.Dir, "config.toml") }

// FreeAddress has a port that nobody listens on, on loopback.
func FreeAddress() string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err.Error() // no daemon will start with that
	}
	defer l.Close()
	return l.Addr().String()
}
