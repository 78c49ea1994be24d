// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/resolve"
	"github.com/containerd-wasm/containerd-wasm/runtime/seccomp"
)

// lookupSpec is a guest that looks up a name, in a network, with files in its /etc.
func lookupSpec(tb testing.TB, n *network, files map[string]string, args ...string) *Spec {
	tb.Helper()
	s := spec(tb, "lookup")
	s.Args = append([]string{"lookup"}, args...)
	s.NewNetNS, s.NetNS = false, n.path
	etc := filepath.Join(s.Rootfs, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		tb.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(content), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

const (
	// loopbackServer is a resolv.conf for network.server.
	loopbackServer = "nameserver 127.0.0.1\nsearch ns.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1 attempts:1\n"
	// patientClient waits longer than a test.
	patientClient = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"
)

func TestLookup(t *testing.T) {
	spec(t, "hello") // for its privilege check
	n := newNetwork(t)
	n.server(t, map[string][4]byte{
		"web.ns.svc.cluster.local.": {10, 0, 0, 7},
		"example.org.":              {192, 0, 2, 1},
	})
	files := map[string]string{
		"resolv.conf": loopbackServer,
		"hosts":       "10.1.2.3 pod.example pod # alias\nfd00::5 pod\n",
	}
	for _, tc := range []struct {
		name string
		args []string
		code uint32
		out  string
	}{
		{"search list", []string{"web", "http"}, 0, "1 2 1 80 0a000007\n"},
		{"as it is", []string{"example.org", "53", "0", "1"}, 0, "1 2 1 53 c0000201\n1 1 2 53 c0000201\n"},
		{"hosts file", []string{"POD", "", "2", "0", "1"}, 0, "1 1 2 0 0a010203\ncanonical pod.example\n2 1 2 0 fd000000000000000000000000000005\n"},
		{"literal", []string{"::1", "65535", "12", "0", "2", "1"}, 0, "2 2 1 65535 00000000000000000000000000000001\n"},
		{"localhost", []string{"localhost", "1", "0", "1", "2"}, 0, "1 2 1 1 7f000001\n"},
		{"no node", []string{"", "8080", "1", "1", "2"}, 0, "1 2 1 8080 00000000\n"},
		{"no such name", []string{"nowhere", "80"}, uint32(resolve.ErrNoName), ""},
		{"no such address", []string{"example.org", "80", "0", "2"}, uint32(resolve.ErrNoData), ""},
		{"no such service", []string{"web", "gopher"}, uint32(resolve.ErrService), ""},
		{"nothing", []string{"", ""}, uint32(resolve.ErrNoName), ""},
		{"bad flags", []string{"web", "80", "4096"}, uint32(resolve.ErrBadFlag), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := lookupSpec(t, n, files, tc.args...)
			out := stdout(t, s)
			if got := runGuest(t, s); got.Ending != Exited || got.Code != tc.code || out() != tc.out {
				t.Fatalf("ended with %+v and wrote %q, want %d and %q", got, out(), tc.code, tc.out)
			}
		})
	}
}

// A link of the guest's leads to files of its own root, or nowhere.
func TestLookupReadsNoFileOfTheHost(t *testing.T) {
	spec(t, "hello")
	n := newNetwork(t)
	n.server(t, nil)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "hosts"), []byte("10.1.2.3 secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, link string
		code       uint32
	}{
		{"none", "", uint32(resolve.ErrNoName)},
		{"absolute", filepath.Join(outside, "hosts"), uint32(resolve.ErrNoName)},
		{"up", "../../../../../../../../../.." + filepath.Join(outside, "hosts"), uint32(resolve.ErrNoName)},
		{"own", "/own", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := lookupSpec(t, n, map[string]string{"resolv.conf": loopbackServer}, "secret", "80")
			if err := os.WriteFile(filepath.Join(s.Rootfs, "own"), []byte("10.1.2.3 secret\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if tc.link != "" {
				if err := os.Symlink(tc.link, filepath.Join(s.Rootfs, "etc/hosts")); err != nil {
					t.Fatal(err)
				}
			}
			if got := runGuest(t, s); got.Ending != Exited || got.Code != tc.code {
				t.Fatalf("ended with %+v", got)
			}
		})
	}
}

// What the guest may not read does not count, nor what is no file.
func TestLookupReadsWhatTheGuestMayRead(t *testing.T) {
	spec(t, "hello")
	n := newNetwork(t)
	n.server(t, nil)
	for name, change := range map[string]func(hosts string) error{
		"mode":      func(hosts string) error { return os.Chmod(hosts, 0o600) },
		"directory": func(hosts string) error { os.Remove(hosts); return os.Mkdir(hosts, 0o755) },
		"fifo":      func(hosts string) error { os.Remove(hosts); return unix.Mkfifo(hosts, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			s := lookupSpec(t, n, map[string]string{"resolv.conf": loopbackServer, "hosts": "10.1.2.3 secret\n"}, "secret", "80")
			if err := change(filepath.Join(s.Rootfs, "etc/hosts")); err != nil {
				t.Fatal(err)
			}
			if got := runGuest(t, s); got.Ending != Exited || got.Code != uint32(resolve.ErrNoName) {
				t.Fatalf("ended with %+v", got)
			}
		})
	}
}

func TestDeadServerIsAnErrorInTime(t *testing.T) {
	spec(t, "hello")
	n := newNetwork(t)
	for name, listen := range map[string]bool{"silent": true, "nobody": false} {
		t.Run(name, func(t *testing.T) {
			if listen {
				n.silentServer(t)
			}
			s := lookupSpec(t, n, map[string]string{"resolv.conf": loopbackServer}, "web", "80")
			begin := time.Now()
			got := runGuest(t, s)
			if got.Ending != Exited || got.Code != uint32(resolve.ErrAgain) {
				t.Fatalf("ended with %+v", got)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Fatalf("took %v", took)
			}
		})
	}
}

// A guest with a filter that keeps it from making sockets does not get the daemon's.
func TestLookupNeedsWhatASocketNeeds(t *testing.T) {
	spec(t, "hello")
	s := lookupSpec(t, newNetwork(t), map[string]string{"hosts": "10.1.2.3 pod\n"}, "pod", "80")
	profile, err := seccomp.Compile(&specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"socket"}, Action: specs.ActErrno}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Seccomp = profile
	const acces = 2
	if got := runGuest(t, s); got.Ending != Exited || got.Code != acces {
		t.Fatalf("ended with %+v", got)
	}
}

// The guest does not see that it was paused, and its lookup goes on meanwhile.
func TestPauseDuringALookup(t *testing.T) {
	spec(t, "hello")
	n := newNetwork(t)
	n.silentServer(t)
	g := started(t, lookupSpec(t, n, map[string]string{"resolv.conf": loopbackServer}, "web", "80"))
	time.Sleep(50 * time.Millisecond)
	pause(t, g)
	time.Sleep(2 * time.Second)
	if over(g) {
		t.Fatal("the guest went on while it was paused")
	}
	resume(t, g)
	<-g.Done()
	if got := g.Result(); got.Ending != Exited || got.Code != uint32(resolve.ErrAgain) {
		t.Fatalf("ended with %+v", got)
	}
}

func TestKillDuringALookup(t *testing.T) {
	spec(t, "hello")
	n := newNetwork(t)
	n.silentServer(t)
	s := lookupSpec(t, n, map[string]string{"resolv.conf": patientClient}, "web", "80")
	for delay := time.Duration(0); delay < 4*time.Millisecond; delay += 50 * time.Microsecond {
		for _, paused := range []bool{false, true} {
			g := started(t, s)
			time.Sleep(delay)
			if paused {
				pause(t, g)
			}
			g.Kill()
			select {
			case <-g.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the guest is still there")
			}
			if got := g.Result(); got.Ending != Killed {
				t.Fatalf("ended with %+v", got)
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); len(lookups) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lookups go on without their guests", len(lookups))
		}
	}
}

// Streams, datagrams with their senders' ports, and errors of sockets.
func TestSocketsOverIPv6(t *testing.T) {
	s := spec(t, "inet6")
	s.NewNetNS, s.NetNS = false, newNetwork(t).path
	if got := runGuest(t, s); got.Ending != Exited || got.Code != 0 {
		t.Fatalf("ended with %+v", got)
	}
}
