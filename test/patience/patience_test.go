// SPDX-License-Identifier: Apache-2.0

package patience

import (
	"testing"
	"time"
)

func TestFactor(t *testing.T) {
	for s, want := range map[string]int{"": 1, "1": 1, "20": 20, "0": 0, "-1": 0, "1.5": 0, "256": 0, "x": 0} {
		t.Run(s, func(t *testing.T) {
			defer func() {
				if r := recover(); (r != nil) != (want == 0) {
					t.Errorf("panic: %v", r)
				}
			}()
			if got := factor(s); got != time.Duration(want) {
				t.Errorf("factor(%q) = %d, want %d", s, got, want)
			}
		})
	}
}
