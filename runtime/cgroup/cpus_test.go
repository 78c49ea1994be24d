// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// firstCPU is one that this process may use.
func firstCPU(t testing.TB) int {
	t.Helper()
	own := unix.NewCPUSet(maxCPUs)
	if err := unix.SchedGetaffinityDynamic(os.Getpid(), own); err != nil {
		t.Fatal(err)
	}
	for cpu := range maxCPUs {
		if own.IsSet(cpu) {
			return cpu
		}
	}
	t.Fatal("no CPU")
	return 0
}

func TestParseCPUs(t *testing.T) {
	cpu := firstCPU(t)
	for _, list := range []string{fmt.Sprint(cpu), fmt.Sprintf("%[1]d-%[1]d", cpu), fmt.Sprintf("%[1]d,%[1]d", cpu)} {
		set, err := parseCPUs(list)
		if err != nil || set.Count() != 1 || !set.IsSet(cpu) {
			t.Errorf("%q: got %v, %v", list, set, err)
		}
	}
	if set, err := parseCPUs(""); set != nil || err != nil {
		t.Errorf("an empty list: %v, %v", set, err)
	}
}

func TestParseCPUsRefuses(t *testing.T) {
	for _, list := range []string{
		"-", "0-", "-0", ",", "0,", "0-1-2", "1-0", " 0", "0x0", "+0", "all", "8191", "8192", "0-8191",
		"0-2147483647", "2147483648", "99999999999999999999", strings.Repeat("9", 1<<20),
	} {
		if _, err := parseCPUs(list); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "cpus") {
			t.Errorf("%.40q: got %v", list, err)
		}
	}
}
