// SPDX-License-Identifier: Apache-2.0

package engine

import "testing"

func TestCovers(t *testing.T) {
	for ids, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"0 100000 65536\n":                   true,
		"0 100000 109\n109 500000 100\n":     false,
		"0 1 10\n100 5000 20\n":              true,
		"100 0 10":                           true,
		"101 0 1000":                         false,
		"":                                   false,
		"x":                                  false,
	} {
		if got := covers(ids, 100, 10); got != want {
			t.Errorf("%q: %t", ids, got)
		}
	}
}

func TestEachChildHasAUserOfItsOwn(t *testing.T) {
	if !hasUsers() {
		if id := newUser(); id != nobody {
			t.Errorf("user %d, which is not mapped", id)
		}
		return
	}
	seen := map[uint32]bool{}
	for range users {
		id := newUser()
		if seen[id] || id < 1<<31 {
			t.Fatalf("user %d, after %d others", id, len(seen))
		}
		seen[id] = true
	}
}
