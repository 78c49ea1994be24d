// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func number(n uint64) func() uint64 { return func() uint64 { return n } }

func TestRegister(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	if err := Register(r, number(1), number(2), number(3)); err != nil {
		t.Fatal(err)
	}
	Present(2)
	defer Present(-2)
	const want = `
# HELP containerd_wasm_guests Guests that are there.
# TYPE containerd_wasm_guests gauge
containerd_wasm_guests 2
# HELP containerd_wasm_linear_memory_bytes Linear memory of all guests.
# TYPE containerd_wasm_linear_memory_bytes gauge
containerd_wasm_linear_memory_bytes 1
# HELP containerd_wasm_memory_limit_bytes What max_memory allows guests and their modules together.
# TYPE containerd_wasm_memory_limit_bytes gauge
containerd_wasm_memory_limit_bytes 3
# HELP containerd_wasm_memory_used_bytes What guests and their modules take together of max_memory.
# TYPE containerd_wasm_memory_used_bytes gauge
containerd_wasm_memory_used_bytes 2
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "containerd_wasm_guests",
		"containerd_wasm_linear_memory_bytes", "containerd_wasm_memory_limit_bytes", "containerd_wasm_memory_used_bytes"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if err := Register(r, number(1), number(2), number(3)); err == nil {
		t.Error("was registered twice")
	}
}

func TestStage(t *testing.T) {
	before := testutil.CollectAndCount(stages)
	for _, err := range []error{nil, errors.New("failed")} {
		ctx, end := Stage(t.Context(), "test")
		if ctx == nil {
			t.Fatal("no context")
		}
		end(err)
	}
	if got := testutil.CollectAndCount(stages); got != before+1 {
		t.Errorf("%d stages, want one more than %d", got, before)
	}
}

func TestResultsAreFew(t *testing.T) {
	for err, want := range map[error]string{
		nil: "ok",
		fmt.Errorf("module %q: %w", "x", errdefs.ErrInvalidArgument): "invalid argument",
		context.Canceled:                     "aborted",
		errors.New("anything at all"):        "internal",
		errdefs.ErrResourceExhausted:         "resource exhausted",
		errdefs.ErrFailedPrecondition:        "failed precondition",
		errdefs.ErrUnavailable:               "unavailable",
		errdefs.ErrNotImplemented:            "not implemented",
		errdefs.ErrPermissionDenied:          "permission denied",
		errdefs.ErrAlreadyExists:             "already exists",
		errdefs.ErrNotFound:                  "not found",
		fmt.Errorf("%w", errdefs.ErrAborted): "aborted",
	} {
		if got := result(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// A guest chooses some of what is said of its end, and must not make labels of it.
func TestGuestsMakeNoLabels(t *testing.T) {
	for i := range 1000 {
		Ended(Trapped, fmt.Sprint("trap number ", i))
	}
	Ended(Overflowed, "call stack exhausted")
	if got := testutil.ToFloat64(traps.WithLabelValues("other")); got != 1000 {
		t.Errorf("%v other traps, want 1000", got)
	}
	if got := testutil.CollectAndCount(traps); got > len(trapKinds)+1 {
		t.Errorf("%d kinds of traps", got)
	}
}

func BenchmarkStage(b *testing.B) {
	for b.Loop() {
		_, end := Stage(b.Context(), "bench")
		end(nil)
		KillTook(time.Millisecond)
	}
}
