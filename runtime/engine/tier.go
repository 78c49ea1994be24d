// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

// Tier is how far a module is optimized: LLVM's level. A start waits for Tier0
// only, which is the fastest to make. The higher one of the configuration is made
// in the background, and used by starts once it is there.
type Tier int

// Tier0 does not optimize.
const Tier0 Tier = 0

// String is the level as compilers name it, such as "O2".
func (t Tier) String() string { return fmt.Sprintf("O%d", int(t)) }

// ParseTier reads a level from "0" to "3". "off" and "" are Tier0. The error is
// ErrInvalidArgument.
func ParseTier(s string) (Tier, error) {
	switch s {
	case "", "off", "0":
		return Tier0, nil
	case "1", "2", "3":
		return Tier(s[0] - '0'), nil
	}
	return 0, fmt.Errorf("%q is not an optimization level from \"0\" (off) to \"3\": %w", s, errdefs.ErrInvalidArgument)
}

func (t Tier) level() wasmedge.CompilerOptimizationLevel {
	return []wasmedge.CompilerOptimizationLevel{
		wasmedge.CompilerOptLevel_O0, wasmedge.CompilerOptLevel_O1,
		wasmedge.CompilerOptLevel_O2, wasmedge.CompilerOptLevel_O3,
	}[t]
}

// Optimizing took ten times as long as not optimizing, and has the processor only
// when nobody else wants it.
const (
	optimizeCPU  = 10 // times compile_timeout, of processor time
	optimizeWall = 30 // times compile_timeout, on the clock
)

// limits are the time that the compiler of one module has.
type limits struct {
	wall time.Duration
	cpu  uint64 // seconds of processor time
	idle bool   // only when the machine has nothing else to do
}

func (c *Config) limits(t Tier) limits {
	if t == Tier0 {
		// The linker has threads, so processor time may run ahead of the clock.
		// This limit is for a child that outlives its parent's timer.
		return limits{wall: c.CompileTimeout, cpu: 2*uint64(c.CompileTimeout/time.Second) + 2}
	}
	return limits{
		wall: optimizeWall * c.CompileTimeout,
		cpu:  optimizeCPU*uint64(c.CompileTimeout/time.Second) + 2,
		idle: true,
	}
}
