// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"slices"
	"strconv"
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

// A container that asked for nothing, and gets a quota while one of its guests is to end.
func TestUpdateWhileLifted(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{}`)
	first, second := join(t, g), join(t, g)
	defer first.stop()
	if err := g.Lift(); err != nil {
		t.Fatal(err)
	}
	if err := g.Update(resources(t, `{"cpu":{"quota":20000}}`)); err != nil {
		t.Fatal(err)
	}
	second.stop()
	g.Unpin(second.tid)
	if err := g.Restore(); err != nil {
		t.Fatal(err)
	}
	if g.Join() == "" {
		t.Fatal("the threads are in no group")
	}
	if got, want := value(t, g, r.limitFile()), map[bool]string{false: "20000", true: "20000 100000"}[r.place.v2]; got != want {
		t.Errorf("the limit is %s, want %s", got, want)
	}
	if in := threads(t, g.Join()); !slices.Contains(in, strconv.Itoa(first.tid)) {
		t.Errorf("in the group: %v, want %d", in, first.tid)
	}
}

// A thread that is made while the container has no group yet, and known when it has.
func TestUpdateWhileAThreadIsMade(t *testing.T) {
	testutil.RequiresRoot(t)
	r := openRoot(t, t.TempDir())
	g := newGroup(t, r, `{}`)
	first := join(t, g)
	defer first.stop()
	group := g.Join()
	second, err := newThread(group)
	if err != nil {
		t.Fatal(err)
	}
	defer second.stop()
	if err := g.Update(resources(t, `{"cpu":{"quota":20000}}`)); err != nil {
		t.Fatal(err)
	}
	if err := g.Pin(second.tid, group); err != nil {
		t.Fatal(err)
	}
	in, want := threads(t, g.Join()), []string{strconv.Itoa(first.tid), strconv.Itoa(second.tid)}
	slices.Sort(in)
	slices.Sort(want)
	if !slices.Equal(in, want) {
		t.Errorf("in the group: %v, want %v", in, want)
	}
}
