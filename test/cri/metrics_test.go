// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"maps"
	"slices"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// Metrics that upstream reads from where a shim would be, or from cgroups that guests
// are not in. Nothing is said instead of something wrong.
var notOfGuests = []string{
	"container_blkio_device_usage_total",
	"container_fs_inodes_free", "container_fs_inodes_total", "container_fs_limit_bytes", "container_fs_usage_bytes",
	"container_fs_reads_bytes_total", "container_fs_reads_total", "container_fs_writes_bytes_total", "container_fs_writes_total",
	"container_memory_kernel_usage", "container_memory_swap",
}

// What kubelet serves at /metrics/cadvisor, if CRI is to give it.
func TestPodSandboxMetrics(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Pause(), images.Native("sleep"), images.Wasm("use"))
	guests, native := wasmPod(t, d, own), runPod(t, d, podConfig(t, d, own), "")
	busy, large := guests.run(t, containerConfig("use", "cpu", "2000")), guests.run(t, containerConfig("use", "memory", "32"))
	linux := native.run(t, containerConfig(images.Native("sleep").Ref))
	busy.waitForLog(t, "used")
	large.waitForLog(t, "used")

	descriptors, err := d.CRI().ListMetricDescriptors(t.Context(), &criapi.ListMetricDescriptorsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	described := make(map[string]*criapi.MetricDescriptor)
	for _, m := range descriptors.GetDescriptors() {
		described[m.GetName()] = m
	}
	r, err := d.CRI().ListPodSandboxMetrics(t.Context(), &criapi.ListPodSandboxMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]map[string]uint64)
	for _, p := range r.GetPodMetrics() {
		of[p.GetPodSandboxId()] = values(t, described, p.GetMetrics())
		for _, c := range p.GetContainerMetrics() {
			of[c.GetContainerId()] = values(t, described, c.GetMetrics())
		}
	}
	if len(of) != 5 {
		t.Fatalf("metrics of %v", slices.Collect(maps.Keys(of)))
	}
	want, got := of[linux.id], of[busy.id]
	for name := range want {
		if _, ok := got[name]; !ok && !slices.Contains(notOfGuests, name) {
			t.Errorf("no %s of a guest", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is a guest's alone", name)
		}
	}
	if a, b := of[native.id], of[guests.id]; len(a) != len(b) || b["container_network_receive_packets_total"] == 0 && a["container_network_receive_packets_total"] != 0 {
		t.Errorf("metrics of pods: %v of guests, %v of Linux", b, a)
	}
	if n := got["container_cpu_usage_seconds_total"]; n > 3 || n != got["container_cpu_user_seconds_total"] {
		t.Errorf("2 s of CPU time are %v", got)
	}
	if n := of[large.id]["container_memory_working_set_bytes"]; n < 32<<20 || n > 64<<20 {
		t.Errorf("32 MiB are %v", of[large.id])
	}
	if n := got["container_file_descriptors"]; n < 3 || n > 10 || got["container_threads"] != 1 || got["container_processes"] != 1 {
		t.Errorf("%v", got)
	}
	if at := time.Unix(int64(got["container_start_time_seconds"]), 0); time.Since(at) > time.Hour || time.Since(at) < 0 {
		t.Errorf("started at %v", at)
	}
}

// values checks that all metrics are described, and returns their values.
func values(t *testing.T, described map[string]*criapi.MetricDescriptor, metrics []*criapi.Metric) map[string]uint64 {
	t.Helper()
	all := make(map[string]uint64)
	for _, m := range metrics {
		all[m.GetName()] = m.GetValue().GetValue()
		if d := described[m.GetName()]; d == nil || len(d.GetLabelKeys()) != len(m.GetLabelValues()) {
			t.Errorf("%v is described as %v", m, d)
		}
	}
	return all
}
