// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// BenchmarkExec reports how long ExecSync takes, as for a probe: another instance of
// the container's program that ends at once, of a guest and with runc in turns.
func BenchmarkExec(b *testing.B) {
	d := daemons["tmpfs"](b)
	probes := map[string]func() time.Duration{
		daemon.Handler: prober(b, d, daemon.Handler, images.Wasm("sleep"), "/sleep.wasm", "0"),
		"":             prober(b, d, "", images.Native("sleep"), "/sleep", "0s"),
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for handler, probe := range probes {
			times[handler] = append(times[handler], probe())
		}
	}
	ours, theirs := percentile(times[daemon.Handler], 50), percentile(times[""], 50)
	b.ReportMetric(milliseconds(ours), "wasm-ms")
	b.ReportMetric(milliseconds(theirs), "runc-ms")
	b.ReportMetric(float64(theirs)/float64(ours), "runc/wasm")
}

// prober runs a pod with one container, and returns what runs a command in it.
func prober(b *testing.B, d *daemon.Daemon, handler string, image images.Spec, command ...string) func() time.Duration {
	b.Helper()
	var took time.Duration
	pod, config := runPod(b, d, handler, criapi.NamespaceMode_NODE, &took)
	b.Cleanup(func() { removePod(b, d, pod) })
	id := createContainer(b, d, pod, config, image)
	startContainer(b, d, id)
	return func() time.Duration {
		begin := time.Now()
		r, err := d.CRI().ExecSync(b.Context(), &criapi.ExecSyncRequest{ContainerId: id, Cmd: command, Timeout: 60})
		took := time.Since(begin)
		if err != nil || r.GetExitCode() != 0 || string(r.GetStdout()) != "sleeping\n" {
			b.Fatalf("%v, %v", r, err)
		}
		return took
	}
}
