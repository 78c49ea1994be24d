// SPDX-License-Identifier: Apache-2.0

// Package speed compares the speed of guests with that of native code: the same C
// programs, compiled by the same clang -O2, as what runtime/engine makes of them and
// as native programs. Guests run in a process of their own, see runner/runner.c; the code is
// the one that the daemon runs.
package speed

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"
)

// "make bench" gives it to all benchmarks. Nothing here needs root.
var _ = flag.Bool("test.root", false, "has no effect")

// program is programs/NAME.c.
type program struct {
	name   string
	rounds int  // for 0.2 s of native code
	apart  bool // it does not count for the mean
}

// Of the last, the work is one instruction of WebAssembly rather than a task that
// programs have.
var programs = []program{
	{name: "compress", rounds: 220},
	{name: "hashing", rounds: 850},
	{name: "json", rounds: 1300},
	{name: "matrix", rounds: 180},
	{name: "raytrace", rounds: 350},
	{name: "recursion", rounds: 1400},
	{name: "regex", rounds: 350},
	{name: "sort", rounds: 50},
	{name: "dispatch", rounds: 3000, apart: true},
}

// variants are what BenchmarkSpeed compares with native code.
var variants = []variant{
	tier0,
	tier1,
	{name: "-O3", level: "3", flags: "-", slow: 1},
	{name: "-O2 of SIMD", level: "2", flags: "-", simd: true, slow: 1},
	{name: "-O2 interruptible", level: "2", flags: "i", slow: 5},
	interpreter,
}

// TestChecksums: each program computes the same as a guest as natively.
func TestChecksums(t *testing.T) {
	w := newWorkshop(t)
	simd := tier0
	simd.name, simd.simd = "-O0 of SIMD", true
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			want, _ := w.build(t, p, native).run(t, 2)
			if other, _ := w.build(t, p, native).run(t, 1); other == want {
				t.Errorf("one round gives %s, as two do", want)
			}
			for _, v := range []variant{tier0, simd, interpreter} {
				if got, _ := w.build(t, p, v).run(t, 2); got != want {
					t.Errorf("%s gives %s, native code %s", v.name, got, want)
				}
			}
		})
	}
}

// turns is how often each variant of a program runs in an iteration. They take turns,
// so that whatever else the machine does hits all of them.
const turns = 5

// BenchmarkSpeed reports how many times as long as native code each variant takes: the
// median of the ratios of all turns, and the geometric mean of these for all programs.
// All times are processor time. It fails if a checksum is not that of native code. The
// log has a table for docs/speed.md, and one of what compiling took.
func BenchmarkSpeed(b *testing.B) {
	w := newWorkshop(b)
	var ratios, compiled table
	for _, p := range programs {
		b.Run(p.name, func(b *testing.B) {
			base := w.build(b, p, native)
			guests := make([]built, len(variants))
			seconds := make([]float64, len(variants))
			for i, v := range variants {
				guests[i] = w.build(b, p, v)
				seconds[i] = guests[i].compiling.Seconds()
			}
			all := make([][]float64, len(variants))
			for b.Loop() {
				for range turns {
					for i, ratio := range turn(b, base, guests, p.rounds) {
						all[i] = append(all[i], ratio)
					}
				}
			}
			medians := make([]float64, len(variants))
			for i, v := range variants {
				medians[i] = median(all[i])
				b.ReportMetric(medians[i], unit(v))
			}
			ratios.add(p, medians)
			compiled.add(p, seconds)
		})
	}
	b.Run("mean", func(b *testing.B) {
		for b.Loop() { // of nothing: so that there is a line of results
		}
		for i, v := range variants {
			b.ReportMetric(ratios.mean().values[i], unit(v))
		}
	})
	b.Logf("times as long as native code\n%s\nseconds of processor time to compile\n%s", &ratios, &compiled)
}

// turn runs native code and then each guest, once, and returns the ratios.
func turn(b *testing.B, base built, guests []built, rounds int) []float64 {
	b.Helper()
	want, took := base.run(b, rounds)
	ratios := make([]float64, len(guests))
	for i, guest := range guests {
		v := guest.variant
		n := max(1, rounds/v.slow)
		expected := want
		if n != rounds {
			expected, _ = base.run(b, n)
		}
		got, guestTook := guest.run(b, n)
		if got != expected {
			b.Fatalf("%s gives %s in %d rounds, native code %s", v.name, got, n, expected)
		}
		ratios[i] = perRound(guestTook, n) / perRound(took, rounds)
	}
	return ratios
}

func perRound(d time.Duration, rounds int) float64 { return d.Seconds() / float64(rounds) }

// unit is the variant's name as a unit of a benchmark, which has no spaces.
func unit(v variant) string { return strings.ReplaceAll(v.name, " ", "-") + "/native" }

func median(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}
