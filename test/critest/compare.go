// SPDX-License-Identifier: Apache-2.0

package critest

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Column is what critest reported about one subject.
type Column struct {
	Name   string
	Report Report
}

// Differences are the names of tests whose outcome is not the same in both, sorted.
func Differences(a, b Report) []string {
	return slices.DeleteFunc(names(a, b), func(name string) bool { return a[name].Outcome == b[name].Outcome })
}

// Worse are the names of tests that passed in base and not in other, sorted. A test
// that is missing has not passed.
func Worse(base, other Report) []string {
	return slices.DeleteFunc(names(base, other), func(name string) bool {
		return base[name].Outcome != Passed || other[name].Outcome == Passed
	})
}

func names(reports ...Report) []string {
	all := map[string]bool{}
	for _, r := range reports {
		for name := range r {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Print writes the numbers of each column, and of each column after the first how it
// compares to that one; what failed or was skipped on both is named for the second
// only.
func Print(w io.Writer, columns ...Column) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tpassed\tfailed\tskipped\t")
	for _, c := range columns {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t\n", c.Name, c.Report.Count(Passed), c.Report.Count(Failed), c.Report.Count(Skipped))
	}
	_ = table.Flush() // w reports its own errors
	for i, other := range columns[1:] {
		printComparison(w, columns[0], other, i == 0)
	}
}

func printComparison(w io.Writer, base, other Column, named bool) {
	fmt.Fprintf(w, "\n== %s and %s\n", base.Name, other.Name)
	for _, o := range []Outcome{Passed, Failed, Skipped} {
		var same []string
		for _, name := range names(base.Report) {
			if base.Report[name].Outcome == o && other.Report[name].Outcome == o {
				same = append(same, name)
			}
		}
		fmt.Fprintf(w, "%s on both: %d\n", o, len(same))
		if o == Passed || !named {
			continue
		}
		for _, name := range same {
			fmt.Fprintf(w, "    %s\n        %s\n", name, base.Report[name].Reason)
		}
	}
	differ := Differences(base.Report, other.Report)
	fmt.Fprintf(w, "different: %d\n", len(differ))
	for _, name := range differ {
		fmt.Fprintf(w, "    %s\n", name)
		for _, c := range []Column{base, other} {
			r := c.Report[name]
			if r.Outcome == "" {
				r.Outcome = "missing"
			}
			fmt.Fprintf(w, "        %s: %s %s\n", c.Name, r.Outcome, r.Reason)
		}
	}
}
