// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"math"
	"testing"
)

func TestEntry(t *testing.T) {
	for desc, tc := range map[string]struct {
		initialize, entry string
		ending            Ending
		code              uint32
	}{
		"no result":             {"_initialize", "nothing", Exited, 0},
		"result":                {"_initialize", "initialized", Exited, 1},
		"not initialized":       {"", "initialized", Exited, 0},
		"initializer itself":    {"", "_initialize", Exited, 0},
		"negative":              {"", "minus_one", Exited, math.MaxUint32},
		"exit":                  {"_initialize", "exit", Exited, 42},
		"trap":                  {"_initialize", "trap", Trapped, 0},
		"exit while initialize": {"exit", "minus_one", Exited, 42},
		"trap while initialize": {"trap", "minus_one", Trapped, 0},
		"no such initializer":   {"none", "minus_one", Exited, math.MaxUint32},
	} {
		s := spec(t, "library")
		s.Initialize, s.Entry = tc.initialize, tc.entry
		if r := runGuest(t, s); r.Ending != tc.ending || r.Code != tc.code {
			t.Errorf("%s: ending %d, code %d (%s)", desc, r.Ending, r.Code, r.Message)
		}
	}
}

func TestKillInAnInitializer(t *testing.T) {
	s := spec(t, "library")
	s.Initialize, s.Entry = "spin", "nothing"
	g := create(t, s)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	<-g.Done()
	if r := g.Result(); r.Ending != Killed {
		t.Errorf("ending %d, code %d (%s)", r.Ending, r.Code, r.Message)
	}
}
