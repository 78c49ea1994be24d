// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A leak checker that finds nothing would pass every test.
func TestResourcesShowWhatIsLeft(t *testing.T) {
	d := Start(t)
	before := d.Resources(t)
	mountPoint := filepath.Join(d.State, "left")
	if err := os.Mkdir(mountPoint, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", mountPoint, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	cmd.Env = []string{marker + d.Name}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mount " + mountPoint, "process ", "file " + mountPoint} {
		// A process has no environment until the kernel is done with starting it.
		Eventually(t, "resources", func() error {
			left := d.Resources(t).Without(before)
			if !slices.ContainsFunc(left, func(line string) bool { return strings.HasPrefix(line, want) }) {
				return fmt.Errorf("no %q among %q", want, left)
			}
			return nil
		})
	}
	// Close has to remove them, and to be able to do so twice.
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("a process of the daemon outlived Close")
	}
	if left := append(d.machineResources(), d.cgroups()...); len(left) > 0 {
		t.Errorf("left behind:\n\t%s", strings.Join(left, "\n\t"))
	}
}

func TestOwnNetwork(t *testing.T) {
	d := Start(t, WithBridge(), WithOwnNetwork())
	before := d.Resources(t)
	add := exec.CommandContext(t.Context(), "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "other0")
	if err := d.InNetwork(add.Run); err != nil {
		t.Fatal(err)
	}
	if left := d.Resources(t).Without(before); !slices.Equal(left, []string{"link veth0 #1"}) {
		t.Errorf("a link that is left shows as %q", left)
	}
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", d.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	err = d.InNetwork(func() (err error) {
		got, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	})
	if machine, _ := os.Readlink("/proc/self/ns/net"); err != nil || got != want || got == machine {
		t.Errorf("in %s (%v); the daemon is in %s, the machine in %s", got, err, want, machine)
	}
}

func TestHostFiles(t *testing.T) {
	const content = "127.0.0.1 localhost\n"
	d := Start(t, WithHostFiles(map[string]string{"/etc/hosts": content}))
	got, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/etc/hosts", d.PID()))
	if err != nil || string(got) != content {
		t.Errorf("the daemon has %q, %v", got, err)
	}
	if len(d.Mounts()) > 0 {
		t.Errorf("the machine has %q", d.Mounts())
	}
}

func TestCloseRemovesADaemonThatWasKilled(t *testing.T) {
	d := Start(t, WithTmpfs(), WithBridge())
	if len(directories(d.GuestCgroup())) == 0 {
		t.Error("the daemon has no cgroup for guests")
	}
	d.Kill(t)
	if d.Alive() {
		t.Error("the daemon survived SIGKILL")
	}
	d.Restart(t)
	d.Stop(t)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.Dir); err == nil {
		t.Error("its directory is still there")
	}
	if left := d.cgroups(); len(left) > 0 {
		t.Errorf("its cgroups are still there: %q", left)
	}
}
