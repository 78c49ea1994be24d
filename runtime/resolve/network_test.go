// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
)

// Sockets are in the other namespace, which has no route, and no thread of this
// process stays there, nor a file.
func TestNetworkLeavesNothing(t *testing.T) {
	testutil.RequiresRoot(t)
	var n *Network
	var err error
	osthread.Do(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			n, err = OpenNetwork("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	before := len(openFiles(t))
	for range 50 {
		for _, transport := range []Transport{UDP, TCP} {
			if _, err := n.Dial(transport, netip.MustParseAddrPort("127.0.0.1:53")); !errors.Is(err, unix.ENETUNREACH) {
				t.Fatalf("dialed from the other namespace: %v", err)
			}
		}
	}
	if after := len(openFiles(t)); after > before {
		t.Errorf("%d files were open, now %d", before, after)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		elsewhere := 0
		for _, link := range glob(t, "/proc/self/task/*/ns/net") {
			if ns, err := os.Readlink(link); err == nil && ns != own {
				elsewhere++
			}
		}
		if elsewhere == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d threads are in another namespace", elsewhere)
		}
	}
}

func openFiles(t *testing.T) []string { return glob(t, "/proc/self/fd/*") }

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestNetworkThatIsNone(t *testing.T) {
	if _, err := OpenNetwork("/does/not/exist"); err == nil {
		t.Error("opened")
	}
	testutil.RequiresRoot(t)
	n, err := OpenNetwork("/proc/self/ns/uts")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if _, err := n.Dial(UDP, netip.MustParseAddrPort("127.0.0.1:53")); !errors.Is(err, unix.EINVAL) {
		t.Errorf("dialed in a UTS namespace: %v", err)
	}
}
