// SPDX-License-Identifier: Apache-2.0

// Package speed compares the speed of guests with that of native code: the same C
// programs, compiled by the same clang -O2, as what runtime/engine makes of them and
// as native programs. Guests run in a process of their own, see runner/runner.c; the code is
// the one that the daemon runs.
package speed

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// "make bench" gives it to all benchmarks. Nothing here needs root.
var _ = flag.Bool("test.root", false, "has no effect")

// rounds of each program, for 0.2 s of native code.
var rounds = map[string]int{
	"compress":  220,
	"hashing":   850,
	"json":      1300,
	"matrix":    180,
	"raytrace":  350,
	"recursion": 1400,
	"regex":     350,
	"sort":      50,
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
	for _, name := range slices.Sorted(maps.Keys(rounds)) {
		t.Run(name, func(t *testing.T) {
			want, _ := w.build(t, name, native).run(t, 2)
			if other, _ := w.build(t, name, native).run(t, 1); other == want {
				t.Errorf("one round gives %s, as two do", want)
			}
			for _, v := range []variant{tier0, simd, interpreter} {
				if got, _ := w.build(t, name, v).run(t, 2); got != want {
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
// It fails if a checksum is not that of native code. The log has a table for
// docs/speed.md, and one of how long WasmEdge's compiler took.
func BenchmarkSpeed(b *testing.B) {
	w := newWorkshop(b)
	ratios, compiles := newTable(variants), newTable(variants)
	for _, name := range slices.Sorted(maps.Keys(rounds)) {
		b.Run(name, func(b *testing.B) {
			base := w.build(b, name, native)
			programs := make([]program, len(variants))
			for i, v := range variants {
				programs[i] = w.build(b, name, v)
				compiles.set(name, i, programs[i].compile.Seconds())
			}
			all := make([][]float64, len(variants))
			for b.Loop() {
				for range turns {
					for i, ratio := range turn(b, base, programs, rounds[name]) {
						all[i] = append(all[i], ratio)
					}
				}
			}
			for i, v := range variants {
				ratios.set(name, i, median(all[i]))
				b.ReportMetric(median(all[i]), unit(v))
			}
		})
	}
	b.Run("mean", func(b *testing.B) {
		for b.Loop() { // of nothing: so that there is a line of results
		}
		for i, v := range variants {
			b.ReportMetric(ratios.mean(i), unit(v))
		}
	})
	b.Logf("times as long as native code\n%s\nseconds to compile\n%s", ratios, compiles)
}

// turn runs each program once, after native code, and returns the ratios.
func turn(b *testing.B, base program, programs []program, rounds int) []float64 {
	b.Helper()
	want, took := base.run(b, rounds)
	ratios := make([]float64, len(programs))
	for i, p := range programs {
		n := max(1, rounds/p.variant.slow)
		expected := want
		if n != rounds {
			expected, _ = base.run(b, n)
		}
		got, guest := p.run(b, n)
		if got != expected {
			b.Fatalf("%s gives %s in %d rounds, native code %s", p.variant.name, got, n, expected)
		}
		ratios[i] = perRound(guest, n) / perRound(took, rounds)
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

// table has a row for each program that ran and a column for each variant.
type table struct {
	columns []variant
	rows    map[string][]float64
}

func newTable(columns []variant) table { return table{columns, map[string][]float64{}} }

func (t table) set(row string, column int, value float64) {
	if t.rows[row] == nil {
		t.rows[row] = make([]float64, len(t.columns))
	}
	t.rows[row][column] = value
}

// mean is the geometric mean of a column; 0 if all of it is.
func (t table) mean(column int) float64 {
	sum := 0.0
	for _, row := range t.rows {
		sum += math.Log(row[column])
	}
	return math.Exp(sum / float64(len(t.rows)))
}

// String is the table in Markdown.
func (t table) String() string {
	var s strings.Builder
	s.WriteString("| |")
	for _, v := range t.columns {
		s.WriteString(" " + v.name + " |")
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(t.columns)))
	for _, name := range slices.Sorted(maps.Keys(t.rows)) {
		s.WriteString("\n| " + name + " |")
		for _, value := range t.rows[name] {
			fmt.Fprintf(&s, " %.2f |", value)
		}
	}
	s.WriteString("\n| geometric mean |")
	for i := range t.columns {
		fmt.Fprintf(&s, " %.2f |", t.mean(i))
	}
	return s.String()
}
