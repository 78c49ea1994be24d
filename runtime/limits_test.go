// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestLimitsOfAllGuests(t *testing.T) {
	const gib = 1 << 30
	for _, tc := range []struct {
		desc   string
		config Config
		maps   uint64
		want   jail.Limits
		err    string
	}{
		{"defaults", Config{}, 65530, jail.Limits{Memory: 6 * gib, Threads: 7167}, ""},
		{"few mappings", Config{}, 100, jail.Limits{Memory: 6 * gib, Threads: 16}, ""},
		{"unlimited mappings", Config{}, 1 << 62, jail.Limits{Memory: 6 * gib, Threads: 268434431}, ""},
		{"as configured", Config{MaxMemory: gib, MaxGuests: 10}, 65530, jail.Limits{Memory: gib, Threads: 10}, ""},
		{"too many", Config{MaxGuests: 7168}, 65530, jail.Limits{}, "max_guests 7168 is not between 0 and 7167"},
		{"negative", Config{MaxGuests: -1}, 65530, jail.Limits{}, "max_guests -1"},
		{"too little", Config{MaxMemory: 1}, 65530, jail.Limits{}, "max_memory 1 is less than"},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			got, err := limits(tc.config, 8*gib, tc.maps)
			switch {
			case tc.err == "" && (err != nil || got != tc.want):
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			case tc.err != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("got %v, want %q", err, tc.err)
			}
		})
	}
}
