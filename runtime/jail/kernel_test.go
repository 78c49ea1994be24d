// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

const gib = 1 << 30

// kernelGives has the kernel give this process so much more, and no more, for one test:
// what an overcommitted node, or a small address space, does.
func kernelGives(t *testing.T, resource int, more uint64) {
	t.Helper()
	nothingCharged(t) // nor reserved
	var before unix.Rlimit
	if err := unix.Getrlimit(resource, &before); err != nil {
		t.Fatal(err)
	}
	now := before
	now.Cur = used(t, map[int]string{unix.RLIMIT_AS: "VmSize", unix.RLIMIT_DATA: "VmData"}[resource]) + more
	if err := unix.Setrlimit(resource, &now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(resource, &before); err != nil {
			t.Error(err)
		}
	})
}

// used is a number of bytes in /proc/self/status.
func used(t *testing.T, field string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimSuffix(statusOf(t, "/proc/self")[field], " kB"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// The engine makes an instance also if the kernel has refused its memory, which then
// begins at address 0, with no bounds: nobody may run it. What was reserved is given back.
func TestInstanceWithoutMemory(t *testing.T) {
	for name, tc := range map[string]struct {
		module   string
		resource int
		more     uint64
	}{
		"no address space":           {"peek", unix.RLIMIT_AS, 2 * gib},
		"no address space, for data": {"filled", unix.RLIMIT_AS, 2 * gib},
		"no memory":                  {"huge", unix.RLIMIT_DATA, gib / 2},
		"no memory, for data":        {"filled", unix.RLIMIT_DATA, gib / 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, tc.module)
			kernelGives(t, tc.resource, tc.more)
			before := used(t, "VmSize")
			for range 3 {
				g := create(t, s)
				if err := g.Start(); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "the kernel has no memory") {
					t.Errorf("got %v", err)
				}
				<-g.Done()
				if r := g.Result(); r.Ending != NotStarted || r.Refused != RefusedByKernel {
					t.Errorf("ended with %+v", r)
				}
			}
			nothingCharged(t)
			if after := used(t, "VmSize"); after > before+10*gib {
				t.Errorf("%d GiB of address space stay reserved", (after-before)/gib)
			}
		})
	}
	// What was refused to one is held against none.
	if r := runGuest(t, spec(t, "hello")); r.Ending != Exited || r.Refused != NotRefused {
		t.Errorf("ended with %+v", r)
	}
}

func TestKernelRefusesMoreMemory(t *testing.T) {
	s := spec(t, "refused")
	kernelGives(t, unix.RLIMIT_DATA, gib/2)
	if r := runGuest(t, s); r.Ending != Exited || r.Code != 7 || r.Refused != RefusedByKernel || r.Memory != PageSize {
		t.Errorf("ended with %+v", r)
	}
	nothingCharged(t)
}
