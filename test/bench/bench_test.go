// SPDX-License-Identifier: Apache-2.0

// Package bench measures over CRI what a pod costs with guests and with runc, in the
// same run on the same daemon, what an exec does, and how long it takes to end a guest.
package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func TestMain(m *testing.M) { os.Exit(daemon.RunTests(m)) }

// The two places for containerd's root: fsync is most of a guest's start on a disk.
var daemons = map[string]func(testing.TB) *daemon.Daemon{
	"disk":  daemon.Shared(load, daemon.WithBridge()),
	"tmpfs": daemon.Shared(load, daemon.WithBridge(), daemon.WithTmpfs()),
}

func load(t testing.TB, d *daemon.Daemon) {
	d.Import(t, images.Pause(), images.Native("hello"), images.Native("sleep"), images.Wasm("hello-c"), images.Wasm("spin"), images.Wasm("sleep"))
	// The first of each makes what is there for all others.
	for handler, image := range hello {
		for _, network := range networks {
			measure(t, d, handler, network, image)
		}
	}
}

// hello says which image each handler runs.
var hello = map[string]images.Spec{
	"":             images.Native("hello"), // runc
	daemon.Handler: images.Wasm("hello-c"),
}

var networks = map[string]criapi.NamespaceMode{
	"host":   criapi.NamespaceMode_NODE,
	"bridge": criapi.NamespaceMode_POD,
}

// steps are how long the steps of starting a pod took.
type steps struct{ sandbox, create, start time.Duration }

var last atomic.Int64

// measure starts a pod with one container, which is removed again.
func measure(t testing.TB, d *daemon.Daemon, handler string, network criapi.NamespaceMode, image images.Spec) steps {
	t.Helper()
	var s steps
	pod, config := runPod(t, d, handler, network, &s.sandbox)
	begin := time.Now()
	id := createContainer(t, d, pod, config, image)
	s.create = time.Since(begin)
	begin = time.Now()
	startContainer(t, d, id)
	s.start = time.Since(begin)
	removePod(t, d, pod)
	time.Sleep(settle)
	return s
}

// settle is a pause after each pod. The daemon collects garbage and syncs its
// database after a removal, which would count as the next pod's start.
const settle = 100 * time.Millisecond

func runPod(t testing.TB, d *daemon.Daemon, handler string, network criapi.NamespaceMode, took *time.Duration) (string, *criapi.PodSandboxConfig) {
	t.Helper()
	name := fmt.Sprintf("bench%d", last.Add(1))
	config := &criapi.PodSandboxConfig{
		Metadata: &criapi.PodSandboxMetadata{Name: name, Namespace: "bench", Uid: name},
		Linux: &criapi.LinuxPodSandboxConfig{
			CgroupParent:    "/" + d.Name,
			SecurityContext: &criapi.LinuxSandboxSecurityContext{NamespaceOptions: &criapi.NamespaceOption{Network: network}},
		},
	}
	begin := time.Now()
	r, err := d.CRI().RunPodSandbox(context.Background(), &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	*took = time.Since(begin)
	if err != nil {
		t.Fatal(err)
	}
	return r.GetPodSandboxId(), config
}

func createContainer(t testing.TB, d *daemon.Daemon, pod string, config *criapi.PodSandboxConfig, image images.Spec) string {
	t.Helper()
	r, err := d.CRI().CreateContainer(context.Background(), &criapi.CreateContainerRequest{
		PodSandboxId: pod,
		Config: &criapi.ContainerConfig{
			Metadata: &criapi.ContainerMetadata{Name: image.Name},
			Image:    &criapi.ImageSpec{Image: image.Ref},
			Linux:    &criapi.LinuxContainerConfig{},
		},
		SandboxConfig: config,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetContainerId()
}

func startContainer(t testing.TB, d *daemon.Daemon, id string) {
	t.Helper()
	if _, err := d.CRI().StartContainer(context.Background(), &criapi.StartContainerRequest{ContainerId: id}); err != nil {
		t.Fatal(err)
	}
}

func removePod(t testing.TB, d *daemon.Daemon, pod string) {
	t.Helper()
	if _, err := d.CRI().StopPodSandbox(context.Background(), &criapi.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CRI().RemovePodSandbox(context.Background(), &criapi.RemovePodSandboxRequest{PodSandboxId: pod}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPod reports the median time of each step for a guest, the total for runc,
// and how many times as long runc takes. The two take turns, so that whatever else
// the machine does hits both. An iteration is a pod of each, with its
// removal and a pause.
func BenchmarkPod(b *testing.B) {
	for root, get := range daemons {
		for name, network := range networks {
			b.Run(root+"/"+name, func(b *testing.B) {
				d := get(b)
				var wasm, runc []steps
				for b.Loop() {
					wasm = append(wasm, measure(b, d, daemon.Handler, network, hello[daemon.Handler]))
					runc = append(runc, measure(b, d, "", network, hello[""]))
				}
				report := func(unit string, of []steps, f func(steps) time.Duration) float64 {
					ms := milliseconds(median(of, f))
					b.ReportMetric(ms, unit)
					return ms
				}
				report("wasm-sandbox-ms", wasm, func(s steps) time.Duration { return s.sandbox })
				report("wasm-create-ms", wasm, func(s steps) time.Duration { return s.create })
				report("wasm-start-ms", wasm, func(s steps) time.Duration { return s.start })
				ours := report("wasm-ms", wasm, steps.total)
				theirs := report("runc-ms", runc, steps.total)
				b.ReportMetric(theirs/ours, "runc/wasm")
			})
		}
	}
}

func (s steps) total() time.Duration { return s.sandbox + s.create + s.start }

func median(of []steps, f func(steps) time.Duration) time.Duration {
	all := make([]time.Duration, len(of))
	for i, s := range of {
		all[i] = f(s)
	}
	return percentile(all, 50)
}

func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)*p/100, len(all)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkStop reports how long StopContainer takes for a guest that is busy, or
// asleep in a host call, from SIGTERM to the end.
func BenchmarkStop(b *testing.B) {
	for _, name := range []string{"spin", "sleep"} {
		b.Run(name, func(b *testing.B) {
			d := daemons["tmpfs"](b)
			var took time.Duration
			pod, config := runPod(b, d, daemon.Handler, criapi.NamespaceMode_NODE, &took)
			defer removePod(b, d, pod)
			var all []time.Duration
			for b.Loop() {
				id := createContainer(b, d, pod, config, images.Wasm(name))
				startContainer(b, d, id)
				time.Sleep(5 * time.Millisecond) // it is in its loop, or in its sleep
				begin := time.Now()
				if _, err := d.CRI().StopContainer(context.Background(), &criapi.StopContainerRequest{ContainerId: id, Timeout: 30}); err != nil {
					b.Fatal(err)
				}
				all = append(all, time.Since(begin))
				if _, err := d.CRI().RemoveContainer(context.Background(), &criapi.RemoveContainerRequest{ContainerId: id}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(milliseconds(percentile(all, 50)), "p50-ms")
			b.ReportMetric(milliseconds(percentile(all, 99)), "p99-ms")
		})
	}
}
