// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

func TestEngineMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	stats := engine.Stats{
		Compilations: []engine.CompilationStats{{Tier: engine.Tier0, Result: "ok", Count: 3, Seconds: 1.5}, {Tier: engine.Tier0, Result: "refused", Count: 1}},
		Queued:       4, Compiling: 1, MemoryHits: 7, StoreHits: 2, Misses: 3, Modules: 2, StoredBytes: 1 << 20,
	}
	if err := RegisterEngine(r, func() engine.Stats { return stats }); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`
# HELP containerd_wasm_compilations_total Compilations of modules that ended, by tier and result.
# TYPE containerd_wasm_compilations_total counter
containerd_wasm_compilations_total{result="ok",tier="TIER"} 3
containerd_wasm_compilations_total{result="refused",tier="TIER"} 1
# HELP containerd_wasm_compiled_bytes Their bytes.
# TYPE containerd_wasm_compiled_bytes gauge
containerd_wasm_compiled_bytes 1.048576e+06
# HELP containerd_wasm_module_lookups_total Starts by where they found the module: in memory, in the store, or nowhere.
# TYPE containerd_wasm_module_lookups_total counter
containerd_wasm_module_lookups_total{found="memory"} 7
containerd_wasm_module_lookups_total{found="nowhere"} 3
containerd_wasm_module_lookups_total{found="store"} 2
`, "TIER", engine.Tier0.String())
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "containerd_wasm_compilations_total",
		"containerd_wasm_compiled_bytes", "containerd_wasm_module_lookups_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
