// SPDX-License-Identifier: Apache-2.0

// Package telemetry tells operators what guests do: metrics in Prometheus' default
// registry, which containerd serves, and spans by upstream's tracing. Both are for
// the whole process.
package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/pkg/tracing"
	"github.com/containerd/errdefs"
	"github.com/prometheus/client_golang/prometheus"
)

// Stages of a start, in their order. The first four are part of Create.
const (
	StageRoot        = "root"        // the root file system is found, or mounted
	StageLoad        = "load"        // the module is read, compiled if need be, and loaded
	StageIsolate     = "isolate"     // a thread is made and isolated
	StageCreate      = "create"      // all of these
	StageInstantiate = "instantiate" // Start: until the guest runs
)

const namespace = "containerd_wasm"

// buckets go from 50 us, which isolating a thread takes at least, to the two minutes
// that a compiler may take.
var buckets = []float64{50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 200e-3, 500e-3, 1, 2, 5, 10, 30, 120}

var (
	stages = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "start_stage_seconds", Buckets: buckets,
		Help: "How long the stages of starting a guest took, also of those that failed.",
	}, []string{"stage"})
	starts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "starts_total",
		Help: "Guests that were to be made or started, by result: ok, or the class of the error.",
	}, []string{"result"})
	ends = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "ends_total",
		Help: "Guests that ended, by how: exited, trapped, killed, overflowed, bad system call, out of memory.",
	}, []string{"how"})
	traps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "traps_total",
		Help: "Traps of guests, by kind.",
	}, []string{"kind"})
	kills = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "kill_seconds", Buckets: buckets,
		Help: "Time from a signal that ends a guest to its end.",
	})
	guests atomic.Int64
)

// Register adds the metrics to a registry. memory is the linear memory of all
// guests, used what they take together of limit; all in bytes.
func Register(r prometheus.Registerer, memory, used, limit func() uint64) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value)
	}
	bytes := func(f func() uint64) func() float64 { return func() float64 { return float64(f()) } }
	for _, c := range []prometheus.Collector{
		stages, starts, ends, traps, kills,
		gauge("guests", "Guests that are there.", func() float64 { return float64(guests.Load()) }),
		gauge("linear_memory_bytes", "Linear memory of all guests.", bytes(memory)),
		gauge("memory_used_bytes", "What guests and their modules take together of max_memory.", bytes(used)),
		gauge("memory_limit_bytes", "What max_memory allows guests and their modules together.", bytes(limit)),
	} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Stage begins a stage, as a span; the caller ends it with its error.
func Stage(ctx context.Context, stage string) (_ context.Context, end func(error)) {
	ctx, span := tracing.StartSpan(ctx, tracing.Name("wasm", stage))
	begin := time.Now()
	return ctx, func(err error) {
		stages.WithLabelValues(stage).Observe(time.Since(begin).Seconds())
		span.SetStatus(err)
		span.End()
	}
}

// Started counts a guest that runs, or could not be made or started.
func Started(err error) { starts.WithLabelValues(result(err)).Inc() }

// result is the class of an error, of which there are few.
func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errdefs.IsInvalidArgument(err):
		return "invalid argument"
	case errdefs.IsNotFound(err):
		return "not found"
	case errdefs.IsAlreadyExists(err):
		return "already exists"
	case errdefs.IsPermissionDenied(err):
		return "permission denied"
	case errdefs.IsResourceExhausted(err):
		return "resource exhausted"
	case errdefs.IsNotImplemented(err):
		return "not implemented"
	case errdefs.IsFailedPrecondition(err):
		return "failed precondition"
	case errdefs.IsUnavailable(err):
		return "unavailable"
	case errdefs.IsCanceled(err), errdefs.IsDeadlineExceeded(err), errdefs.IsAborted(err):
		return "aborted"
	default:
		return "internal"
	}
}

// Present counts guests that there are: 1 for one more, -1 for one less.
func Present(n int64) { guests.Add(n) }

// Ways in which a guest ends.
const (
	Exited      = "exited"
	Trapped     = "trapped"
	Killed      = "killed"
	Overflowed  = "overflowed"
	BadCall     = "bad system call"
	OutOfMemory = "out of memory"
)

// Ended counts the end of a guest. message is the trap's.
func Ended(how, message string) {
	ends.WithLabelValues(how).Inc()
	if how == Trapped || how == Overflowed {
		traps.WithLabelValues(trapKind(message)).Inc()
	}
}

// KillTook notes how long a guest took to end after a signal.
func KillTook(d time.Duration) { kills.Observe(d.Seconds()) }

// trapKinds are WasmEdge's messages (include/common/errcode.h). Nothing else becomes
// a label: a guest must not be able to make many.
var trapKinds = []string{
	"unreachable", "integer divide by zero", "integer overflow", "invalid conversion to integer",
	"out of bounds memory access", "out of bounds table access", "uninitialized element", "undefined element",
	"indirect call type mismatch", "unaligned atomic", "expected shared memory", "call stack exhausted",
	"the engine could not carry out a host call",
}

func trapKind(message string) string {
	for _, kind := range trapKinds {
		if message == kind {
			return kind
		}
	}
	return "other"
}
