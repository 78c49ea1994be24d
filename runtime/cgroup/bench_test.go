// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// BenchmarkGuest is all that a guest's group costs its start: New, and the
// thread that moves itself there. It is the same thread each time, which
// leaves the group before the next.
func BenchmarkGuest(b *testing.B) {
	testutil.RequiresRoot(b)
	for _, bc := range []struct {
		name, first, second string // resources of one guest, and of the next
	}{
		{"Defaults", `{"cpu":{"shares":1024}}`, `{"cpu":{"shares":1024}}`},
		{"SameShares", `{"cpu":{"shares":2}}`, `{"cpu":{"shares":2}}`},
		{"OtherShares", `{"cpu":{"shares":2}}`, `{"cpu":{"shares":3}}`},
		{"SameQuota", `{"cpu":{"quota":50000}}`, `{"cpu":{"quota":50000}}`},
		{"OtherQuota", `{"cpu":{"quota":50000}}`, `{"cpu":{"quota":60000}}`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			r := openRoot(b, b.TempDir())
			all := []*specs.LinuxResources{resources(b, bc.first), resources(b, bc.second)}
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // for ever: the thread must be gone for the groups to be removed
				done <- guests(b, r, all)
			}()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

func guests(b *testing.B, r *Root, all []*specs.LinuxResources) error {
	for i := range b.N {
		b.StartTimer()
		g, err := r.New(all[i%len(all)])
		if err != nil {
			return err
		}
		if file := g.Join(); file != "" {
			if err := write(file, "0"); err != nil {
				return err
			}
		}
		b.StopTimer()
		if err := write(r.Join(), "0"); err != nil {
			return fmt.Errorf("leaving: %w", err)
		}
		if err := g.Delete(); err != nil {
			return err
		}
	}
	return nil
}
