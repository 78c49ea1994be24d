// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"github.com/containerd-wasm/containerd-wasm/runtime/cgroup"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// Resources are what a daemon, dead or alive, holds on the machine, one readable
// line for each thing. Equal things are numbered.
type Resources []string

// LeakPatience is how long something may outlast its use: garbage collection and
// the ends of processes are not waited for by those who cause them.
var LeakPatience = patience.For(10 * time.Second)

// Resources lists mounts, processes, pods' cgroups, guests in cgroups, network links,
// addresses, files below the state directory; and of a daemon that runs also its
// files, jailed threads, containers, sandboxes, snapshots in use and leases.
func (d *Daemon) Resources(t testing.TB) Resources {
	t.Helper()
	return d.resourcesFor(t.Context(), t)
}

func (d *Daemon) resourcesFor(ctx context.Context, t testing.TB) Resources {
	t.Helper()
	lines := d.machineResources()
	if d.Alive() {
		pid := d.PID()
		lines = append(lines, prefixed("fd ", openFiles(pid))...)
		for range jailedThreads(pid) {
			lines = append(lines, "jailed thread")
		}
		stored, err := d.stored(ctx)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, stored...)
	}
	return numbered(lines)
}

// CheckLeaks fails the test if the daemon still holds more than before.
func (d *Daemon) CheckLeaks(t testing.TB, before Resources) {
	t.Helper()
	deadline := time.Now().Add(LeakPatience)
	for {
		// The test's own context has ended when this runs as a clean-up.
		left := d.resourcesFor(context.Background(), t).Without(before)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind:\n\t%s", strings.Join(left, "\n\t"))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Without returns what was not there before.
func (r Resources) Without(before Resources) Resources {
	return slices.DeleteFunc(slices.Clone(r), func(line string) bool { return slices.Contains(before, line) })
}

func (d *Daemon) machineResources() []string {
	var lines []string
	for _, p := range d.Processes() {
		if !d.Alive() || p.PID != d.PID() {
			lines = append(lines, "process "+p.String())
		}
	}
	lines = append(lines, prefixed("mount ", mountsOf(d.Dir))...)
	lines = append(lines, prefixed("cgroup ", d.podCgroups())...)
	for range d.guestsInCgroups() {
		lines = append(lines, "guest in a cgroup")
	}
	lines = append(lines, prefixed("link ", d.ports())...)
	lines = append(lines, prefixed("file ", d.files())...)
	return lines
}

// files are those below the state directory, addresses given to pods, and the cache
// of the CNI library, which is in one place for all.
func (d *Daemon) files() []string {
	var out []string
	for _, dir := range []string{d.State, filepath.Join(d.Dir, "ipam"), d.FIFODir(), filepath.Join(d.Dir, "tmp")} {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			// What has gone in the meantime is what is wanted.
			if err == nil && !strings.HasPrefix(filepath.Base(path), "last_reserved_ip.") {
				out = append(out, path)
			}
			return nil
		})
	}
	cached, _ := filepath.Glob("/var/lib/cni/*/" + d.Name + "-*")
	return append(out, cached...)
}

// podCgroups are the directories of d.Name in all hierarchies.
func (d *Daemon) podCgroups() []string {
	var out []string
	for _, pattern := range []string{"/sys/fs/cgroup/%s", "/sys/fs/cgroup/*/%s"} {
		found, _ := filepath.Glob(fmt.Sprintf(pattern, d.Name))
		for _, dir := range found {
			out = append(out, directories(dir)...)
		}
	}
	return out
}

// GuestCgroup is the directory of all guests' groups. A dead daemon leaves it to
// the next one, and a living one keeps some groups ready.
func (d *Daemon) GuestCgroup() string {
	dir, err := cgroup.Place(filepath.Join(d.State, "io.containerd.wasm.v1.runtime"))
	if err != nil {
		return "" // the machine has none
	}
	return dir
}

// guestsInCgroups are the files of groups that have a thread.
func (d *Daemon) guestsInCgroups() []string {
	dir := d.GuestCgroup()
	if dir == "" {
		return nil
	}
	var out []string
	for _, name := range []string{"tasks", "cgroup.threads"} {
		found, _ := filepath.Glob(filepath.Join(dir, "*", name))
		for _, path := range found {
			if threads, err := os.ReadFile(path); err == nil && len(threads) > 0 {
				out = append(out, path)
			}
		}
	}
	return out
}

// cgroups are the directories of all groups, alive or not.
func (d *Daemon) cgroups() []string {
	return append(d.podCgroups(), directories(d.GuestCgroup())...)
}

// directories are dir and those below it.
func directories(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		// What has gone in the meantime is what is wanted.
		if err == nil && e.IsDir() {
			out = append(out, path)
		}
		return nil
	})
	return out
}

// stored is what the daemon keeps for containers.
func (d *Daemon) stored(ctx context.Context) ([]string, error) {
	var out []string
	for _, ns := range []string{d.Name, CRINamespace} {
		lines, err := d.storedIn(namespaces.WithNamespace(ctx, ns))
		if err != nil {
			return nil, fmt.Errorf("listing what is stored in namespace %s: %w", ns, err)
		}
		out = append(out, prefixed(ns+": ", lines)...)
	}
	return out, nil
}

func (d *Daemon) storedIn(ctx context.Context) ([]string, error) {
	client := d.Client()
	containers, err := client.ContainerService().List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range containers {
		out = append(out, "container "+c.ID)
	}
	leases, err := client.LeasesService().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range leases {
		out = append(out, "lease "+l.ID)
	}
	sandboxes, err := client.SandboxStore().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sandboxes {
		out = append(out, "sandbox "+s.ID)
	}
	for _, name := range []string{Snapshotter, "overlayfs"} {
		err := client.SnapshotService(name).Walk(ctx, func(_ context.Context, i snapshots.Info) error {
			if i.Kind != snapshots.KindCommitted {
				out = append(out, fmt.Sprintf("%s snapshot %s of %s", i.Kind, i.Name, name))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Goroutines asks the daemon for all its goroutines' stacks.
func (d *Daemon) Goroutines(ctx context.Context) (string, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.Dir, "debug.sock"))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/debug/pprof/goroutine?debug=2", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// Mounts are those in the daemon's directory, or of something in it.
func (d *Daemon) Mounts() []string { return mountsOf(d.Dir) }

// mountsOf returns the lines of mountinfo that mention dir: as a mount point, a
// source or an option.
func mountsOf(dir string) []string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		// proc(5): id, parent, device, root, mount point, ...
		if fields := strings.Fields(line); strings.Contains(line, dir+"/") && len(fields) > 5 {
			out = append(out, fields[4]+" "+strings.Join(fields[6:], " "))
		}
	}
	return out
}

func prefixed(prefix string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = prefix + line
	}
	return out
}

func numbered(lines []string) Resources {
	count := map[string]int{}
	for _, line := range lines {
		count[line]++
	}
	var out Resources
	for _, line := range slices.Sorted(maps.Keys(count)) {
		for i := range count[line] {
			out = append(out, fmt.Sprintf("%s #%d", line, i+1))
		}
	}
	return out
}
