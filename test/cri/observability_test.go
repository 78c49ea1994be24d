// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// scrape reads the daemon's metrics.
func scrape(t testing.TB, address string) string {
	t.Helper()
	r, err := http.Get("http://" + address + "/v1/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metric is a value in Prometheus' text format; false: there is none of that name.
func metric(t testing.TB, text, name string) (float64, bool) {
	t.Helper()
	m := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(name) + " (.+)$").FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Error(err)
	}
	return v, true
}

func withMetrics(t testing.TB, names ...string) (d *daemon.Daemon, address string) {
	t.Helper()
	address = daemon.FreeAddress()
	d = daemon.Start(t, daemon.WithTOML(fmt.Sprintf("[plugins.'io.containerd.server.v1.metrics']\naddress = %q", address)))
	for _, name := range names {
		d.Import(t, images.Wasm(name))
	}
	return d, address
}

// What operators see of all that can happen to guests of pods.
func TestMetricsOfPods(t *testing.T) {
	d, address := withMetrics(t, "exit", "mem", "recurse", "sleep", "spin", "trap")
	p := wasmPod(t, d, host)
	p.run(t, containerConfig("exit", "0")).wait(t)
	p.run(t, containerConfig("exit", "3")).wait(t)
	p.run(t, containerConfig("trap")).expectExit(t, 134, "Error")
	p.run(t, containerConfig("recurse")).expectExit(t, 134, "Error")
	dying := containerConfig("mem", "die")
	dying.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 16 * mib}
	p.run(t, dying).expectExit(t, 137, "OOMKilled")
	missing := containerConfig("exit")
	missing.Command = []string{"/none"}
	p.create(t, missing).expectStartError(t, "no such file")
	stopped := p.run(t, containerConfig("spin"))
	stopped.stop(t, 300)
	running := p.run(t, containerConfig("sleep"))
	expectStages(t, scrape(t, address))
	if r, err := running.execSync(60, "/sleep.wasm", "0"); err != nil || r.GetExitCode() != 0 {
		t.Error(r, err)
	}
	text := scrape(t, address)
	for name, want := range map[string]float64{
		`containerd_wasm_guests`:                                               1,
		`containerd_wasm_starts_total{result="ok"}`:                            8,
		`containerd_wasm_starts_total{result="not found"}`:                     1,
		`containerd_wasm_ends_total{how="exited"}`:                             3,
		`containerd_wasm_ends_total{how="trapped"}`:                            1,
		`containerd_wasm_ends_total{how="overflowed"}`:                         1,
		`containerd_wasm_ends_total{how="out of memory"}`:                      1,
		`containerd_wasm_ends_total{how="killed"}`:                             1,
		`containerd_wasm_traps_total{kind="unreachable"}`:                      1,
		`containerd_wasm_traps_total{kind="call stack exhausted"}`:             1,
		`containerd_wasm_kill_seconds_count`:                                   1,
		`containerd_wasm_start_stage_seconds_count{stage="root"}`:              8,
		`containerd_wasm_start_stage_seconds_count{stage="load"}`:              8,
		`containerd_wasm_start_stage_seconds_count{stage="isolate"}`:           8,
		`containerd_wasm_start_stage_seconds_count{stage="create"}`:            8,
		`containerd_wasm_start_stage_seconds_count{stage="instantiate"}`:       8,
		`containerd_wasm_start_stage_seconds_bucket{stage="create",le="+Inf"}`: 8,
	} {
		if got, ok := metric(t, text, name); !ok || got != want {
			t.Errorf("%s is %v (%t), want %v", name, got, ok, want)
		}
	}
	if memory, _ := metric(t, text, "containerd_wasm_linear_memory_bytes"); memory < 64<<10 || memory > mib {
		t.Errorf("the one guest has %v bytes", memory)
	}
	if took, _ := metric(t, text, "containerd_wasm_kill_seconds_sum"); took <= 0 || took > daemon.Patience.Seconds() {
		t.Errorf("one kill took %v s", took)
	}
	running.stop(t, 0)
	text = scrape(t, address)
	for _, name := range []string{"containerd_wasm_guests", "containerd_wasm_linear_memory_bytes"} {
		if got, ok := metric(t, text, name); !ok || got != 0 {
			t.Errorf("%s of no guests is %v", name, got)
		}
	}
}

// expectStages checks that creating containers took as long as its parts, at least.
func expectStages(t *testing.T, text string) {
	t.Helper()
	sum := func(stage string) float64 {
		v, _ := metric(t, text, fmt.Sprintf("containerd_wasm_start_stage_seconds_sum{stage=%q}", stage))
		return v
	}
	if parts := sum("root") + sum("load") + sum("isolate"); parts <= 0 || sum("create") < parts || sum("instantiate") <= 0 {
		t.Errorf("creating took %v s, its parts %v s, instantiating %v s", sum("create"), parts, sum("instantiate"))
	}
}

// Upstream's metrics of containers have guests among them, in the units of the host's
// cgroup version, for as long as they run.
func TestMetricsOfAContainer(t *testing.T) {
	d, address := withMetrics(t, "spin")
	config := containerConfig("spin")
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 64 * mib}
	c := wasmPod(t, d, host).run(t, config)
	labels := fmt.Sprintf("{container_id=%q,namespace=%q,runtime=%q}", c.id, daemon.CRINamespace, daemon.Runtime)
	cpu, unit, usage, limit := "container_cpu_total_nanoseconds", time.Nanosecond, "container_memory_usage_usage_bytes", "container_memory_usage_limit_bytes"
	if cgroups.Mode() == cgroups.Unified {
		cpu, unit, usage, limit = "container_cpu_usage_usec_microseconds", time.Microsecond, "container_memory_usage_bytes", "container_memory_usage_limit_bytes"
	}
	var text string
	daemon.Eventually(t, "CPU time", func() error {
		before := c.cpuTime(t)
		text = scrape(t, address)
		v, ok := metric(t, text, cpu+labels)
		if got := time.Duration(v) * unit; !ok || got < before.Truncate(unit) || got > c.cpuTime(t) {
			return fmt.Errorf("%v after %v", got, before)
		}
		return nil
	})
	if v, ok := metric(t, text, usage+labels); !ok || v < 64<<10 || v > mib {
		t.Errorf("memory %v", v)
	}
	if v, ok := metric(t, text, limit+labels); !ok || v != 64*mib {
		t.Errorf("limit %v", v)
	}
	c.remove(t)
	if text := scrape(t, address); strings.Contains(text, c.id) {
		t.Error("there are metrics of a container that is gone")
	}
}

// spans are what a collector of traces was sent.
type spans struct {
	mu  sync.Mutex
	all []*trace.Span
}

// ServeHTTP takes spans by OTLP over HTTP (opentelemetry.io/docs/specs/otlp).
func (s *spans) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var m collector.ExportTraceServiceRequest
	if b, err := io.ReadAll(r.Body); err != nil || proto.Unmarshal(b, &m) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range m.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			s.all = append(s.all, scope.GetSpans()...)
		}
	}
}

// under are the spans, by name, below one whose name ends with that of a call, and
// which has all of want below it.
func (s *spans) under(t *testing.T, call string, want ...string) (found map[string]*trace.Span) {
	t.Helper()
	daemon.Eventually(t, fmt.Sprintf("spans %v below %s", want, call), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		byID := map[string]*trace.Span{}
		for _, span := range s.all {
			byID[string(span.GetSpanId())] = span
		}
		for _, root := range s.all {
			if found = map[string]*trace.Span{}; !strings.HasSuffix(root.GetName(), call) {
				continue
			}
			for _, span := range s.all {
				for up := span; up != nil; up = byID[string(up.GetParentSpanId())] {
					if up == root {
						found[span.GetName()] = span
					}
				}
			}
			if !slices.ContainsFunc(want, func(name string) bool { return found[name] == nil }) {
				return nil
			}
		}
		return fmt.Errorf("there are %d spans, %v", len(s.all), found)
	})
	return found
}

// Upstream's plugin for OTLP has a span for each stage of a start, below that of the
// call of CRI's.
func TestTraces(t *testing.T) {
	var s spans
	server := httptest.NewServer(&s)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50") // ms
	d := daemon.Start(t)
	d.Import(t, images.Wasm("sleep"))
	p := wasmPod(t, d, host)
	c := p.run(t, containerConfig("sleep"))
	started := s.under(t, "/StartContainer", "wasm.create", "wasm.root", "wasm.load", "wasm.isolate", "wasm.instantiate")
	create := started["wasm.create"]
	last := create.GetStartTimeUnixNano()
	for _, name := range []string{"wasm.root", "wasm.load", "wasm.isolate"} {
		span := started[name]
		if string(span.GetParentSpanId()) != string(create.GetSpanId()) {
			t.Errorf("%s is not in wasm.create", name)
		}
		if span.GetStartTimeUnixNano() < last || span.GetEndTimeUnixNano() < span.GetStartTimeUnixNano() {
			t.Errorf("%s is from %d to %d, after %d", name, span.GetStartTimeUnixNano(), span.GetEndTimeUnixNano(), last)
		}
		last = span.GetEndTimeUnixNano()
	}
	if begin := started["wasm.instantiate"].GetStartTimeUnixNano(); create.GetEndTimeUnixNano() < last || begin < create.GetEndTimeUnixNano() {
		t.Errorf("its parts end at %d, wasm.create at %d, wasm.instantiate begins at %d", last, create.GetEndTimeUnixNano(), begin)
	}
	s.under(t, "wasm.compile")
	if _, err := c.execSync(60, "/sleep.wasm", "0"); err != nil {
		t.Error(err)
	}
	s.under(t, "/ExecSync", "wasm.load", "wasm.isolate", "wasm.instantiate")
	failing := containerConfig("sleep")
	failing.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1}}
	failing.Command = []string{"/none"}
	failing.Metadata.Name = "failing"
	f := p.create(t, failing)
	f.expectStartError(t, "no such file")
	daemon.Eventually(t, "a span with the error", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, span := range s.all {
			if span.GetName() == "wasm.create" && span.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR && strings.Contains(span.GetStatus().GetMessage(), "no such file") {
				return nil
			}
		}
		return fmt.Errorf("none among %d", len(s.all))
	})
}
