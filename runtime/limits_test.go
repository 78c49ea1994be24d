// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"cmp"
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
		space  uint64 // 0: 128 TiB
		want   jail.Limits
		err    string
	}{
		{"defaults", Config{}, 65530, 0, jail.Limits{Memory: 6 * gib, Threads: 7167}, ""},
		{"few mappings", Config{}, 100, 0, jail.Limits{Memory: 6 * gib, Threads: 16}, ""},
		{"many mappings", Config{}, 1 << 20, 0, jail.Limits{Memory: 6 * gib, Threads: 8192}, ""},
		{"unlimited mappings", Config{}, 1 << 62, 1 << 62, jail.Limits{Memory: 6 * gib, Threads: 268434431}, ""},
		{"39 bits", Config{}, 65530, 1 << 39, jail.Limits{Memory: 6 * gib, Threads: 32}, ""},
		{"as configured", Config{MaxMemory: gib, MaxGuests: 10}, 65530, 0, jail.Limits{Memory: gib, Threads: 10}, ""},
		{"too many", Config{MaxGuests: 7168}, 65530, 0, jail.Limits{}, "max_guests 7168 is not between 0 and 7167"},
		{"negative", Config{MaxGuests: -1}, 65530, 0, jail.Limits{}, "max_guests -1"},
		{"too little", Config{MaxMemory: 1}, 65530, 0, jail.Limits{}, "max_memory 1 is less than"},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			got, err := limits(tc.config, 8*gib, tc.maps, cmp.Or(tc.space, 1<<47))
			switch {
			case tc.err == "" && (err != nil || got != tc.want):
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			case tc.err != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("got %v, want %q", err, tc.err)
			}
		})
	}
}

func TestAddressSpace(t *testing.T) {
	got, err := addressSpace()
	if err != nil || got < 1<<38 || got > 1<<57 || got&(got-1) != 0 {
		t.Errorf("%#x, %v", got, err)
	}
}
