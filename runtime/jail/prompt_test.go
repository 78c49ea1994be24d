// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"slices"
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// promptly is what most kills take at most, also on a machine that is busy: on one that
// is not, it is a hundredth of it (BenchmarkKill).
var promptly = patience.For(200 * time.Millisecond)

// endPromptly kills guests that begin returns, one at a time. Where others have taken the
// processors meanwhile, it looks again.
func endPromptly(t *testing.T, begin func() *Guest) {
	t.Helper()
	const rounds, kills = 3, 5
	var all [rounds][]time.Duration
	for i := range all {
		for range kills {
			all[i] = append(all[i], timeToEnd(t, begin()))
		}
		slices.Sort(all[i])
		if all[i][kills/2] <= promptly {
			return
		}
	}
	t.Errorf("the kills took %v, most of them more than %v", all, promptly)
}

func timeToEnd(t *testing.T, g *Guest) time.Duration {
	t.Helper()
	begin := time.Now()
	g.Kill()
	select {
	case <-g.Done():
	case <-time.After(patience.For(10 * time.Second)):
		t.Fatal("the guest is still there")
	}
	return time.Since(begin)
}
