// SPDX-License-Identifier: Apache-2.0

// Package cgroup controls the CPU time of guests, each of which is one thread
// of the daemon.
//
// Their groups are below the daemon's own group:
//
//	<daemon's group>/containerd-wasm<state directory, escaped>/   the place
//	    tasks or cgroup.threads      the thread that makes guest threads
//	    0/, 1/, ...                  one for each guest that asks for something
//
// A group's thread moves itself there, by writing "0" to the file that Join
// names. Moving a thread from outside makes the kernel wait until no thread of
// the machine is being made or ending: 8 to 12 ms on an idle machine, against
// 35 us (Linux 5.5 and later).
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Root holds the groups of all guests of this process. Its methods may be
// called concurrently.
type Root struct {
	place place
	err   error    // for which there are no groups
	lock  *os.File // tells other daemons that the place is in use
	pool  pool
}

// Open makes the place for guests' groups and removes those that an earlier
// daemon with the same state directory left there. state is an absolute path.
//
// What the host lacks is logged, and an error of the guest that asks for it.
func Open(ctx context.Context, state string) *Root {
	r := &Root{}
	if err := r.open(ctx, state); err != nil {
		r.err = fmt.Errorf("no cgroup for guests: %w", err)
		log.G(ctx).WithError(r.err).Warn("containers that ask for CPU shares or a quota will be refused, and others are not kept from taking the daemon's processor time")
	}
	return r
}

func (r *Root) open(ctx context.Context, state string) error {
	var err error
	if r.place, err = findPlace(state); err != nil {
		return err
	}
	if r.lock, err = r.place.claim(); err != nil {
		return err
	}
	if err := r.place.prepare(); err != nil {
		return err
	}
	if err := r.place.clean(); err != nil {
		// Nothing runs in them, or something that is not ours to end.
		log.G(ctx).WithError(err).Warn("groups of an earlier daemon stay")
	}
	r.pool.place = r.place
	// kubelet gives every container at least the smallest shares.
	s := defaults
	s.shares = minShares
	r.pool.addSpare(s)
	return nil
}

// Join is the file to which the thread that makes guest threads writes "0" to
// move itself into the place. It is empty where there are no groups. Guests
// that ask for nothing are then there as well, and not beside the daemon's own
// threads: all guests together weigh as much as one of these.
func (r *Root) Join() string {
	if r.err != nil {
		return ""
	}
	return r.place.join(r.place.dir)
}

// Group is the CPU control of one container's guests: its own, and those of its
// execs. Its methods may be called concurrently.
type Group struct {
	root *Root

	mu     sync.Mutex
	want   settings
	cpus   unix.CPUSetDynamic // nil: all of the daemon's
	dir    *dir               // nil: the place itself
	tids   []int              // the container's own is the first
	ending bool
	lifted int // calls of Lift without Restore
}

// New makes the group of one container: linux.resources of the OCI spec, of which
// it takes the cpu part. resources may be nil. What is not given, and shares,
// quota and period of 0, are the kernel's defaults: shares of 1024, no quota, a
// period of 100 ms. A quota of -1 is none.
//
// Errors: InvalidArgument naming the field; NotImplemented: what a thread
// cannot have; FailedPrecondition naming what the host lacks.
func (r *Root) New(resources *specs.LinuxResources) (*Group, error) {
	g := &Group{root: r}
	want, cpus, err := parse(defaults, resources)
	if err != nil {
		return nil, err
	}
	g.want, g.cpus = want, cpus
	if want.effective() == defaults {
		return g, nil
	}
	if r.err != nil {
		return nil, r.err
	}
	if g.dir, err = r.pool.take(want.effective()); err != nil {
		return nil, err
	}
	return g, nil
}

// Join is the file to which the guest's thread writes "0" to move itself into
// its group, while it is root and sees the host's files. It is empty if the
// thread is where it should be already: in the group of the thread that made
// it.
func (g *Group) Join() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dir == nil {
		return ""
	}
	return g.root.place.join(g.dir.path)
}

// Pin names a guest's thread, and restricts it to the CPUs that were asked
// for. joined is what Join returned for it: if an update has given the container
// its group since, the thread is moved there. It is to be called before the guest
// runs.
func (g *Group) Pin(tid int, joined string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dir != nil && joined == "" {
		if err := g.move(tid, g.dir); err != nil {
			return err
		}
	}
	if err := g.pin(tid); err != nil {
		return err
	}
	g.tids = append(g.tids, tid)
	return nil
}

// Unpin forgets a thread that is gone.
func (g *Group) Unpin(tid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.tids, tid); i >= 0 {
		g.tids = slices.Delete(g.tids, i, i+1)
	}
}

func (g *Group) pin(tid int) error {
	if g.cpus == nil {
		return nil
	}
	if err := unix.SchedSetaffinityDynamic(tid, g.cpus); err != nil {
		return fmt.Errorf("sched_setaffinity of thread %d: %w", tid, err)
	}
	return nil
}

// each calls f with all threads. An error counts if it is about the first: others
// may have just ended.
func (g *Group) each(f func(tid int) error) error {
	var first error
	for i, tid := range g.tids {
		if err := f(tid); err != nil && i == 0 {
			first = err
		}
	}
	return first
}

// Update changes what resources give, of a guest whose thread is known (Pin)
// and not gone or ending. After an error the guest may have some of it.
//
// Errors: those of New; FailedPrecondition: there is no such thread.
func (g *Group) Update(resources *specs.LinuxResources) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	want, cpus, err := parse(g.want, resources)
	if err != nil {
		return err
	}
	if len(g.tids) == 0 || g.ending || unix.Tgkill(os.Getpid(), g.tids[0], 0) != nil {
		return fmt.Errorf("the guest has no thread, or is to end: %w", errdefs.ErrFailedPrecondition)
	}
	if err := g.apply(want.effective()); err != nil {
		return err
	}
	g.want = want
	if cpus == nil {
		return nil
	}
	g.cpus = cpus
	return g.each(g.pin)
}

func (g *Group) apply(s settings) error {
	switch {
	case g.dir == nil && s == defaults:
		return nil
	case g.dir == nil && g.root.err != nil:
		return g.root.err
	}
	if g.lifted > 0 { // Restore does it
		s = unlimited
	}
	if g.dir != nil {
		return g.dir.set(s)
	}
	d, err := g.root.pool.take(s)
	if err != nil {
		return err
	}
	if err := g.each(func(tid int) error { return g.move(tid, d) }); err != nil {
		return errors.Join(err, g.root.pool.give(d, s))
	}
	g.dir = d
	return nil
}

// move is the slow way, see above: the thread has other things to do.
func (g *Group) move(tid int, d *dir) error {
	return write(g.root.place.join(d.path), fmt.Sprint(tid))
}

// Hurry is for a guest that is to end: its thread has something to do for that,
// and must not wait until it has a quota again, or its few shares a turn among
// those of many others. From now on it has all shares and no quota.
func (g *Group) Hurry() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ending = true
	if g.dir == nil {
		return nil
	}
	return g.dir.set(unlimited)
}

// Lift is Hurry for one of several guests. The others have all shares and no quota
// as well, until it is gone and Restore is called.
func (g *Group) Lift() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lifted++
	if g.dir == nil || g.lifted > 1 {
		return nil
	}
	return g.dir.set(unlimited)
}

// Restore ends what one call of Lift began.
func (g *Group) Restore() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lifted--
	if g.dir == nil || g.lifted > 0 || g.ending {
		return nil
	}
	return g.dir.set(g.want.effective())
}

// Delete gives the group back. Its threads must be gone, or never have
// joined. A second call does nothing.
func (g *Group) Delete() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dir
	g.dir, g.tids = nil, nil
	if d == nil {
		return nil
	}
	return g.root.pool.give(d, g.want.effective())
}
