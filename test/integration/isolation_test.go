// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func TestGuestsAreNoProcesses(t *testing.T) {
	d := shared(t)
	before := d.Processes()
	for range 10 {
		start(t, d, job{image: "sleep"}).waitForOutput(t, "sleeping")
	}
	for _, p := range d.Processes() {
		if !slices.Contains(before, p) {
			t.Errorf("process %s is new", p)
		}
	}
	if children := d.Children(); len(children) > 0 {
		t.Errorf("the daemon has children: %v", children)
	}
}

func TestGuestCannotSignalTheDaemon(t *testing.T) {
	d := shared(t)
	out := run(t, d, job{image: importModule(t, d, fromSource(t, "raise.wat"))})
	expect(t, out, 7, "")
}

// A guest's sockets are its own: the daemon does not have them, and what the daemon
// starts does not inherit them.
func TestSocketsAreTheGuestsAlone(t *testing.T) {
	d := shared(t)
	port := freePort(t)
	ref := importModule(t, d, fromSource(t, "listen.c"))
	guest := start(t, d, job{image: ref, args: []string{port}, opts: []oci.SpecOpts{oci.WithHostNamespace(specs.NetworkNamespace)}})
	guest.waitForOutput(t, "listening")
	inode := listeningSocket(t, port)

	// A shim and its container, started while the guest has the socket.
	name := "native"
	out := d.Ctr(t, "run", "--detach", "--null-io", images.Native("sleep").Ref, name)
	if out.Code != 0 {
		t.Fatalf("the native container does not start: %s", out.Stderr)
	}
	defer func() {
		d.Ctr(t, "tasks", "rm", "--force", name)
		d.Ctr(t, "containers", "rm", name)
	}()
	processes := d.Processes()
	if len(processes) < 3 {
		t.Errorf("no shim and no container among %v", processes)
	}
	for _, p := range processes {
		if files := filesOf(p.PID); slices.Contains(files, "socket:["+inode+"]") {
			t.Errorf("%s has the guest's socket", p)
		}
	}
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, daemon.Patience)
	if err != nil {
		t.Fatalf("nobody listens: %v", err)
	}
	conn.Close()
	if code := guest.wait(t); code != 0 {
		t.Errorf("exit code %d: %s", code, guest.Stderr.String())
	}
}

func TestKillOfAGuestThatAccepts(t *testing.T) {
	d := shared(t)
	ref := importModule(t, d, fromSource(t, "listen.c"))
	guest := start(t, d, job{image: ref, args: []string{"80"}})
	guest.waitForOutput(t, "listening")
	begin := time.Now()
	guest.kill(t, 9)
	if code := guest.wait(t); code != 137 || time.Since(begin) > killLimit {
		t.Errorf("exit code %d after %v", code, time.Since(begin))
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// listeningSocket finds the inode of the socket that listens on the port.
func listeningSocket(t *testing.T, port string) string {
	t.Helper()
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		const listen = "0A"
		// proc_pid_net(5): local_address is the second field, st the fourth, inode the tenth.
		if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) && f[3] == listen {
			return f[9]
		}
	}
	t.Fatalf("nothing listens on port %s:\n%s", port, b)
	return ""
}

func filesOf(pid int) []string {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	var out []string
	for _, path := range paths {
		if target, err := os.Readlink(path); err == nil {
			out = append(out, target)
		}
	}
	return out
}

// What a container needs goes with it, also in the daemon's memory.
func TestNothingGrows(t *testing.T) {
	d := shared(t)
	jobs := []job{
		{image: "exit"},
		{image: "echo", stdin: "text"},
		{image: "trap"},
		{image: "cat", args: []string{"/cat.wasm"}},
	}
	round := func() {
		for _, j := range jobs {
			run(t, d, j)
		}
		b := start(t, d, job{image: "sleep"})
		b.kill(t, 9)
		b.wait(t)
		b.remove(t)
	}
	round()
	before := ownGoroutines(t, d)
	for range 10 {
		round()
	}
	daemon.Eventually(t, "the goroutines of 50 containers to end", func() error {
		if after := ownGoroutines(t, d); len(after) > len(before) {
			return fmt.Errorf("%d before, %d after:\n%s", len(before), len(after), strings.Join(after, "\n\n"))
		}
		return nil
	})
}

// ownGoroutines are the stacks of the daemon's goroutines that are in our code.
func ownGoroutines(t *testing.T, d *daemon.Daemon) []string {
	t.Helper()
	text, err := d.Goroutines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for stack := range strings.SplitSeq(text, "\n\n") {
		if strings.Contains(stack, "github.com/containerd-wasm/") {
			own = append(own, stack)
		}
	}
	return own
}

// What a guest writes to a tmpfs is bounded as its memory is.
func TestTmpfsIsBounded(t *testing.T) {
	const limit = 16 << 20
	d := shared(t)
	b := sleeper(t, d, oci.WithMemoryLimit(limit), oci.WithMounts([]specs.Mount{{Type: "tmpfs", Destination: "/scratch"}}))
	var st unix.Statfs_t
	if err := unix.Statfs(fmt.Sprintf("/proc/%d/task/%d/root/scratch", d.PID(), b.Task.Pid()), &st); err != nil {
		t.Fatal(err)
	}
	if room := st.Blocks * uint64(st.Bsize); room != limit || st.Files != limit/1024 {
		t.Errorf("it has room for %d bytes and %d files", room, st.Files)
	}
}
