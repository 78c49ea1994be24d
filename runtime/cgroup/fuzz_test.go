// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"encoding/json"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// FuzzParse: what is not refused is within the kernel's bounds, and reaches it
// from the defaults and back.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"cpu":{"shares":2,"quota":-1,"period":100000,"burst":0,"idle":0,"cpus":"0-3,5","mems":"0"}}`,
		`{"cpu":{"shares":1,"quota":9223372036854775807,"period":18446744073709551615,"burst":17592186044415}}`,
		`{"cpu":{"quota":17592186044415,"burst":17592186044415,"idle":-1}}`,
		`{"cpu":{"realtimeRuntime":1},"unified":{"cpu.max":"max"}}`,
		`{"cpu":{"cpus":"0-2147483647"}}`,
		`{"cpu":{"cpus":"0,0,0-"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r specs.LinuxResources
		if json.Unmarshal(text, &r) != nil {
			return
		}
		s, cpus, err := parse(defaults, &r)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if s.shares < 2 || s.shares > 262144 || s.period < 1000 || s.period > 1_000_000 || s.quota != -1 && s.quota < 1000 {
			t.Fatalf("accepted %+v", s)
		}
		if cpus != nil && cpus.Count() == 0 {
			t.Fatal("no CPU at all")
		}
		e := s.effective()
		for _, v2 := range []bool{false, true} {
			forth, back := e.changes(defaults, v2), defaults.changes(e, v2)
			if (e == defaults) != (len(forth) == 0) || (e == defaults) != (len(back) == 0) {
				t.Fatalf("%+v: %v and back %v", e, forth, back)
			}
		}
	})
}
