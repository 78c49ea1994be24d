// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Close ends the daemon and removes everything that it made, also after a failed
// test: containers' processes and shims, mounts, network, cgroups, files.
//
// Errors: the daemon does not end when asked; something cannot be removed.
func (d *Daemon) Close() error {
	err := d.signal(unix.SIGTERM)
	d.killAll()
	err = errors.Join(err, d.unmountAll(), d.removeNetwork(), d.removeCgroups())
	if err == nil {
		err = d.removeFiles()
	}
	if err != nil {
		return fmt.Errorf("cleaning up after daemon %s: %w", d.Name, err)
	}
	return nil
}

// killAll ends what the daemon started, and waits for it. What it does not end
// shows as mounts and cgroups that are busy.
func (d *Daemon) killAll() {
	for range 100 {
		all := d.Processes()
		if len(all) == 0 {
			return
		}
		for _, p := range all {
			_ = unix.Kill(p.PID, unix.SIGKILL) // it may have ended by itself
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// unmountAll takes several turns: a mount may be on top of another.
func (d *Daemon) unmountAll() error {
	for range 10 {
		mounts := mountsOf(d.Dir)
		if len(mounts) == 0 {
			return nil
		}
		for _, m := range slices.Backward(mounts) {
			point, _, _ := strings.Cut(m, " ")
			if strings.HasPrefix(point, d.Dir+"/") {
				_ = unix.Unmount(point, unix.MNT_DETACH) // its parent may have gone with it
			}
		}
	}
	return fmt.Errorf("mounts that stay:\n%s", strings.Join(mountsOf(d.Dir), "\n"))
}

func (d *Daemon) removeNetwork() error {
	if d.netns != nil { // with all that is in it
		if err := d.netns.Close(); !errors.Is(err, os.ErrClosed) {
			return err
		}
		return nil
	}
	if _, err := net.InterfaceByName(d.Name); err != nil {
		return nil // never made
	}
	// Pods' links go with the namespaces, which only mounts and processes held.
	if out, err := exec.Command("ip", "link", "delete", d.Name).CombinedOutput(); err != nil {
		return fmt.Errorf("deleting bridge %s: %w: %s", d.Name, err, out)
	}
	return nil
}

func (d *Daemon) removeCgroups() error {
	var err error
	// A cgroup is busy until the kernel has done away with its last process.
	for range 100 {
		all := d.cgroups()
		if len(all) == 0 {
			return nil
		}
		err = nil
		// Directories come before what is in them.
		for _, dir := range slices.Backward(all) {
			err = errors.Join(err, unix.Rmdir(dir))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("removing cgroups: %w", err)
}

func (d *Daemon) removeFiles() error {
	for _, path := range d.files() {
		if !strings.HasPrefix(path, d.Dir) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.RemoveAll(d.Dir)
}
