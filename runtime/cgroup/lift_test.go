// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
)

func TestLift(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{"cpu":{"shares":2,"quota":1000,"period":1000000}}`)
	first, second := join(t, g), join(t, g)
	defer first.stop()
	unlimited := map[bool]string{false: "-1", true: "max 100000"}[r.place.v2]
	expect := func(after, want string) {
		t.Helper()
		if got := value(t, g, r.limitFile()); got != want {
			t.Errorf("after %s the limit is %s, want %s", after, got, want)
		}
	}
	step := func(name string, f func() error, want string) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		expect(name, want)
	}
	step("one", g.Lift, unlimited)
	step("two", g.Lift, unlimited)
	step("the end of one", g.Restore, unlimited)
	step("an update", func() error { return g.Update(resources(t, `{"cpu":{"quota":2000}}`)) }, unlimited)
	step("the end of both", g.Restore, map[bool]string{false: "2000", true: "2000 1000000"}[r.place.v2])
	second.stop()
	g.Unpin(second.tid)
	step("another update", func() error { return g.Update(resources(t, `{"cpu":{"quota":3000}}`)) }, map[bool]string{false: "3000", true: "3000 1000000"}[r.place.v2])
	step("the end of all", g.Hurry, unlimited)
	step("that of one more", g.Lift, unlimited)
	step("and its end", g.Restore, unlimited)
}
