// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// table has a row for each program that ran and a column for each variant. Its values
// are positive; 0 is none.
type table struct {
	rows  []row
	apart []row // which do not count for the mean
}

type row struct {
	name   string
	values []float64
}

func (t *table) add(p program, values []float64) {
	r := row{p.name, values}
	if p.apart {
		t.apart = append(t.apart, r)
	} else {
		t.rows = append(t.rows, r)
	}
}

// mean is the row of the geometric means; 0 where there is nothing to have one of.
func (t *table) mean() row {
	r := row{"**geometric mean**", make([]float64, len(variants))}
	for i := range r.values {
		sum := 0.0
		for _, row := range t.rows {
			sum += math.Log(row.values[i])
		}
		if len(t.rows) > 0 {
			r.values[i] = math.Exp(sum / float64(len(t.rows)))
		}
	}
	return r
}

// String is the table in Markdown.
func (t *table) String() string {
	var s strings.Builder
	s.WriteString("| |")
	for _, v := range variants {
		s.WriteString(" " + v.name + " |")
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(variants)))
	for _, r := range slices.Concat(t.rows, []row{t.mean()}, t.apart) {
		s.WriteString("\n| " + r.name + " |")
		for _, value := range r.values {
			s.WriteString(cell(value))
		}
	}
	return s.String()
}

func cell(value float64) string {
	switch {
	case value == 0:
		return " |"
	case value < 10:
		return fmt.Sprintf(" %.2f |", value)
	default:
		return fmt.Sprintf(" %.0f |", value)
	}
}
