// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// beside is the spec of a guest that sees what g sees.
func beside(t *testing.T, g *Guest, module string) *Spec {
	t.Helper()
	v, err := g.View()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	s := spec(t, module)
	s.View, s.Rootfs = v, v.Root()
	return s
}

// A tmpfs is there only once: both have the same.
func TestViewIsShared(t *testing.T) {
	for name, mounts := range map[string][]Mount{
		"root":   nil,
		"mounts": {{Target: "/secret", Options: "size=64k"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "spin")
			s.NewNetNS, s.Mounts = true, mounts
			dir := filepath.Join(s.Rootfs, "secret")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o777)); err != nil {
				t.Fatal(err)
			}
			g := create(t, s)
			writer := beside(t, g, "create")
			second, err := New(t.Context(), writer)
			if err != nil {
				t.Fatal(err)
			}
			for _, ns := range []string{"ns/mnt", "ns/net"} {
				a, errA := os.Readlink(procFile(g, ns))
				b, errB := os.Readlink(procFile(second, ns))
				if a != b || errA != nil || errB != nil {
					t.Errorf("%s: %s and %s (%v, %v)", ns, a, b, errA, errB)
				}
			}
			if readProc(t, g, "mountinfo") != readProc(t, second, "mountinfo") {
				t.Error("the mounts differ")
			}
			if err := second.Start(); err != nil {
				t.Fatal(err)
			}
			<-second.Done()
			if got := second.Result(); got.Ending != Exited || got.Code != 0 {
				t.Fatalf("ended with %+v", got)
			}
			if _, err := os.Stat(procFile(g, "root/secret/new")); err != nil {
				t.Errorf("what one made the other does not see: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "new")); (err == nil) != (mounts == nil) {
				t.Errorf("in the root below the mounts: %v", err)
			}
			// Files that are there already are not made again.
			if got := runGuest(t, beside(t, g, "create")); got.Ending != Exited || got.Code != 0 {
				t.Errorf("ended with %+v", got)
			}
		})
	}
}

func TestViewOfAGuestThatIsOver(t *testing.T) {
	g := create(t, spec(t, "spin"))
	s := beside(t, g, "hello")
	g.Kill()
	<-g.Done()
	if _, err := g.View(); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("its view: %v", err)
	}
	if _, err := New(t.Context(), s); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "is over") {
		t.Errorf("a guest beside it: %v", err)
	}
}

// Whoever asks last gets what is left.
func TestMemoryLimitIsShared(t *testing.T) {
	s := spec(t, "spin")
	s.MemoryLimit, s.InitialMemory = 10*PageSize, PageSize
	g := create(t, s)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		grow := beside(t, g, "grow")
		grow.InitialMemory = PageSize
		if got := runGuest(t, grow); got.Code != 10-uint32(g.Memory()/PageSize) || got.Refused != RefusedByLimit {
			t.Fatalf("beside a guest with %d bytes it ended with %+v", g.Memory(), got)
		}
	}
	big := beside(t, g, "big")
	big.InitialMemory = 10 * PageSize
	err := create(t, big).Start()
	if !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "640 KiB that it may have") {
		t.Errorf("started with too little memory: %v", err)
	}
}
