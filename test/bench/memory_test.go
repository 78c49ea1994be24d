// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// BenchmarkSharedCode is the daemon's memory with one container of a large module and
// with a hundred, all instantiated: proportional set sizes (proc_pid_smaps(5)). Of the
// module's code there is to be one copy.
func BenchmarkSharedCode(b *testing.B) {
	d := daemons["disk"](b)
	d.Import(b, images.Wasm("web"))
	for b.Loop() {
		before := memoryOf(b, d)
		first := createTasks(b, d, 1)
		one := memoryOf(b, d)
		others := createTasks(b, d, 99)
		hundred := memoryOf(b, d)
		for _, c := range append(first, others...) {
			if err := c.Remove(); err != nil {
				b.Fatal(err)
			}
		}
		const mib = 1 << 10 // from KiB
		b.ReportMetric((one.code-before.code)/mib, "code-of-1-MiB")
		b.ReportMetric((hundred.code-before.code)/mib, "code-of-100-MiB")
		b.ReportMetric((hundred.all-one.all)/99/mib, "each-more-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

func createTasks(b *testing.B, d *daemon.Daemon, n int) []*daemon.Container {
	b.Helper()
	var all []*daemon.Container
	for range n {
		c, err := d.NewContainer(b.Context(), daemon.Job{Image: images.Wasm("web").Ref})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.CreateTask(); err != nil {
			b.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// memory is in KiB: of all mappings, and of those with code that is in no file.
type memory struct{ all, code float64 }

func memoryOf(b *testing.B, d *daemon.Daemon) memory {
	b.Helper()
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", d.PID()))
	if err != nil {
		b.Fatal(err)
	}
	var m memory
	code := false
	for line := range strings.Lines(string(smaps)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && len(fields[1]) == 4 && strings.Contains(fields[0], "-") {
			code = fields[1][2] == 'x' && len(fields) == 5 // no path
			continue
		}
		var kib float64
		if _, err := fmt.Sscanf(line, "Pss: %f kB", &kib); err != nil {
			continue
		}
		m.all += kib
		if code {
			m.code += kib
		}
	}
	return m
}
