// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	compilations   = desc("compilations_total", "Compilations of modules that ended, by tier and result.", "tier", "result")
	compileSeconds = desc("compile_seconds_total", "Seconds that they took together.", "tier", "result")
	compilers      = desc("compilers", "Modules that wait for a compiler, are compiled, or wait to be optimized or are.", "state")
	waitingStarts  = desc("waiting_starts", "Starts that wait for a compiler.")
	lookups        = desc("module_lookups_total", "Starts by where they found the module: in memory, in the store, or nowhere.", "found")
	loads          = desc("module_loads_total", "Compiled modules that were loaded.")
	loadedBytes    = desc("module_loaded_bytes_total", "Bytes of compiled modules that were read to load them.")
	moduleReads    = desc("module_reads_total", "Modules that were read to learn their digests.")
	modules        = desc("modules", "Modules that are loaded.")
	moduleMemory   = desc("module_memory_bytes", "What they take, estimated.")
	artefacts      = desc("compiled_modules", "Compiled modules in the content store.")
	storedBytes    = desc("compiled_bytes", "Their bytes.")
)

// engineCollector makes metrics of an engine's statistics when somebody asks.
type engineCollector struct{ stats func() engine.Stats }

// RegisterEngine adds the metrics of an engine to a registry.
func RegisterEngine(r prometheus.Registerer, stats func() engine.Stats) error {
	return r.Register(engineCollector{stats})
}

// Describe implements prometheus.Collector.
func (engineCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		compilations, compileSeconds, compilers, waitingStarts, lookups, loads, loadedBytes, moduleReads,
		modules, moduleMemory, artefacts, storedBytes,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c engineCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, k := range s.Compilations {
		counter(compilations, float64(k.Count), k.Tier.String(), k.Result)
		counter(compileSeconds, k.Seconds, k.Tier.String(), k.Result)
	}
	gauge(compilers, float64(s.Queued), "queued")
	gauge(compilers, float64(s.Compiling), "running")
	gauge(compilers, float64(s.Optimizing), "optimizing")
	gauge(waitingStarts, float64(s.Waiting))
	counter(lookups, float64(s.MemoryHits), "memory")
	counter(lookups, float64(s.StoreHits), "store")
	counter(lookups, float64(s.Misses), "nowhere")
	counter(loads, float64(s.Loads))
	counter(loadedBytes, float64(s.LoadedBytes))
	counter(moduleReads, float64(s.ModuleReads))
	gauge(modules, float64(s.Modules))
	gauge(moduleMemory, float64(s.ModuleMemory))
	gauge(artefacts, float64(s.Artefacts))
	gauge(storedBytes, float64(s.StoredBytes))
}
