// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"syscall"
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// BenchmarkKill reports how long it takes from SIGKILL to the exit, over containerd's
// task API: of a guest that is busy, of one that is asleep in a host call, and of one
// among 200 that are busy. What is to be reached at the 99th percentile is beside it.
func BenchmarkKill(b *testing.B) {
	for _, bc := range []struct {
		name, image string
		others      int
		target      time.Duration
	}{
		{"busy", "spin", 0, 20 * time.Millisecond},
		{"asleep", "sleep", 0, 20 * time.Millisecond},
		{"among 200 that are busy", "spin", 200, 100 * time.Millisecond},
	} {
		b.Run(bc.name, func(b *testing.B) {
			d := daemons["tmpfs"](b)
			for range bc.others {
				c := startTask(b, d, "spin")
				defer removeTask(b, c)
			}
			var all []time.Duration
			for b.Loop() {
				c := startTask(b, d, bc.image)
				time.Sleep(5 * time.Millisecond) // it is in its loop, or in its sleep
				all = append(all, killTask(b, c))
				removeTask(b, c)
			}
			b.ReportMetric(milliseconds(percentile(all, 50)), "p50-ms")
			b.ReportMetric(milliseconds(percentile(all, 99)), "p99-ms")
			b.ReportMetric(milliseconds(bc.target), "target-p99-ms")
		})
	}
}

func startTask(b *testing.B, d *daemon.Daemon, image string) *daemon.Container {
	b.Helper()
	c, err := d.NewContainer(b.Context(), daemon.Job{Image: images.Wasm(image).Ref})
	if err != nil {
		b.Fatal(err)
	}
	if err := c.CreateTask(); err != nil {
		b.Fatal(err)
	}
	if err := c.Task.Start(c.Ctx); err != nil {
		b.Fatal(err)
	}
	return c
}

func killTask(b *testing.B, c *daemon.Container) time.Duration {
	b.Helper()
	exited, err := c.Task.Wait(c.Ctx)
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := c.Task.Kill(c.Ctx, syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	<-exited
	return time.Since(begin)
}

// removeTask ends the container's task, if there is one, and removes both.
func removeTask(b *testing.B, c *daemon.Container) {
	b.Helper()
	if err := c.Remove(); err != nil {
		b.Error(err)
	}
}
