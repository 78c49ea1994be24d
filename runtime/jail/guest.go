// SPDX-License-Identifier: Apache-2.0

package jail

// #include "arch.h"
// #include "jail.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Guest is one jailed thread: of a guest, or a parked one that only holds
// namespaces. It ends by itself or by Kill; nothing else need be called.
type Guest struct {
	id      uint64
	created chan struct{} // closed once it waits for Start, or is over
	ready   chan struct{} // closed once it is instantiated, if Start waits for that, or is over
	done    chan struct{} // closed once it is over
	result  Result        // valid after done
	tid     int           // valid after created
	insist  sync.Once     // keepKilling

	life context.Context // ends with its thread
	end  context.CancelFunc

	holding sync.Mutex    // Pause and Resume
	resumed chan struct{} // not nil: paused; closed by Resume

	describe func(Trace) string // or nil

	mu    sync.Mutex
	c     *C.struct_jail // nil after done
	order *order
}

// New makes the thread of a guest, isolates it as spec says and leaves it
// waiting for Start. The module must stay loaded until Done. If ctx ends before
// the guest is isolated, it never will be.
//
// Errors name the failed step and path. NotFound: a path does not exist, or the
// AppArmor profile; PermissionDenied, also if that profile lets no signals through;
// ResourceExhausted: no thread or no memory for its stack; InvalidArgument: a
// malformed spec; ctx's.
func New(ctx context.Context, spec *Spec) (*Guest, error) {
	if errInit != nil {
		return nil, errInit
	}
	order, err := newOrder(spec)
	if err != nil {
		return nil, err
	}
	g := &Guest{
		created:  make(chan struct{}),
		ready:    make(chan struct{}),
		done:     make(chan struct{}),
		describe: spec.Describe,
		order:    order,
	}
	g.life, g.end = context.WithCancel(context.Background())
	if err := register(g); err != nil {
		order.free()
		return nil, err
	}
	if err := g.create(spec.View); err != nil {
		unregister(g)
		order.free()
		return nil, err
	}
	select {
	case <-g.created:
	case <-ctx.Done():
		g.Kill()
		<-g.done
		return nil, fmt.Errorf("isolating the guest: %w", context.Cause(ctx))
	}
	select {
	case <-g.done:
		return nil, g.result.err()
	default:
	}
	if spec.AppArmor != "" {
		if err := g.testProfile(); err != nil {
			g.Kill() // before its start it needs no signal
			<-g.done
			return nil, fmt.Errorf("AppArmor profile %q: %w", spec.AppArmor, err)
		}
	}
	return g, nil
}

// create makes the thread.
func (g *Guest) create(view *View) error {
	err := patiently(func() (err error) {
		if view == nil {
			return g.createBeside(nil)
		}
		err = errDone
		view.guest.withC(func(c *C.struct_jail) { err = g.createBeside(c) })
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDone):
		return fmt.Errorf("the guest that it is to be beside: %w", errDone)
	default:
		return noThread(err)
	}
}

func (g *Guest) createBeside(beside *C.struct_jail) (err error) {
	g.mu.Lock() // its news must not come before g.c is set
	defer g.mu.Unlock()
	if g.c, err = C.jail_create(C.uint64_t(g.id), g.order.spec, beside); g.c != nil {
		return nil
	}
	return err
}

// patiently calls try again while it returns EBUSY: what it lacks is about to be given back
// (budget.c); but not for long. Meanwhile nothing is held: the one dispatcher has to take
// the news of every guest.
func patiently(try func() error) error {
	for i := 0; ; i++ {
		if err := try(); !errors.Is(err, unix.EBUSY) || i == 500 {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func noThread(err error) error {
	if errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EBUSY) {
		return errBudget()
	}
	return fmt.Errorf("no thread for the guest: %w: %w", err, errdefs.ErrResourceExhausted)
}

// handle takes news of the thread, in the order of its life.
func (g *Guest) handle(events C.int) {
	if events&C.JAIL_EV_CREATED != 0 {
		g.withC(func(c *C.struct_jail) { g.tid = int(C.jail_tid(c)) })
		close(g.created)
	}
	if events&C.JAIL_EV_READY != 0 {
		close(g.ready)
	}
	if events&C.JAIL_EV_LOOKUP != 0 {
		go g.lookup()
	}
	if events&C.JAIL_EV_TRAPPED != 0 {
		go g.trapped()
	}
	if events&C.JAIL_EV_EXITED != 0 {
		g.reap()
	}
}

func (g *Guest) reap() {
	var r C.struct_jail_result
	g.mu.Lock()
	c := g.c
	C.jail_copy_result(c, &r)
	g.c = nil
	g.mu.Unlock()
	unregister(g)
	g.result = newResult(&r)
	g.end()
	close(g.done) // first: whoever sees one of the others looks whether it is over
	closeOnce(g.created)
	closeOnce(g.ready)
	runtime.Gosched() // see dispatch
	C.jail_free(c)
	g.order.free()
}

// closeOnce closes a channel that only the caller's goroutine ever closes.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// Start lets the guest run.
//
// Errors: InvalidArgument or another class with the cause, when the module could
// not be instantiated; the guest is then over.
func (g *Guest) Start() error {
	var ready bool
	g.withC(func(c *C.struct_jail) { ready = C.jail_start(c) != 0 })
	if ready {
		return nil
	}
	<-g.ready
	select {
	case <-g.done:
		if e := g.result.Ending; e == NotStarted || e == notIsolated {
			return g.result.err()
		}
	default:
	}
	return nil
}

// Kill ends the guest, wherever it is, and returns at once; Done tells when.
func (g *Guest) Kill() {
	g.withC(func(c *C.struct_jail) { C.jail_kill(c) })
	g.insist.Do(func() { go g.keepKilling() })
}

// keepKilling kills again until the guest is gone: the first time only makes its host
// calls fail (stop.c).
func (g *Guest) keepKilling() {
	for i := range math.MaxInt {
		select {
		case <-g.done:
			return
		case <-time.After(killInterval(i)):
			g.withC(func(c *C.struct_jail) { C.jail_kill(c) })
		}
	}
}

// resends says that one signal may not be enough to stop a guest (arch.h).
const resends = C.JAIL_RESENDS != 0

// killInterval is the time before the kill is sent again. Most guests are gone soon
// after the first signal, and more would only disturb. The second time takes memory
// away from a call that works on it for long (stop.c). Where it is a matter of
// chance whether a signal finds guest code: often, and at intervals that fall into no
// step with what the guest does.
func killInterval(i int) time.Duration {
	switch {
	case resends && i < 1000:
		return time.Duration(200+i*7919%1300) * time.Microsecond
	case i == 0:
		return 3 * time.Millisecond
	default:
		return 20 * time.Millisecond
	}
}

// Pause holds the guest where it is and returns when no more of its code runs. A
// host call that blocks goes on, and the guest sees its result after Resume. A
// guest that is held can be killed.
//
// Errors: FailedPrecondition: it is over, or held; ctx's. It then runs on.
func (g *Guest) Pause(ctx context.Context) error {
	g.holding.Lock()
	defer g.holding.Unlock()
	if g.resumed != nil {
		return fmt.Errorf("the guest is paused: %w", errdefs.ErrFailedPrecondition)
	}
	for i := 0; g.pause() == C.JAIL_RUNS; i++ {
		select {
		case <-g.done:
		case <-ctx.Done():
			g.withC(func(c *C.struct_jail) { C.jail_resume(c) })
			return fmt.Errorf("pausing the guest: %w", context.Cause(ctx))
		case <-time.After(holdInterval(i)):
		}
	}
	select {
	case <-g.done:
		return errDone
	default:
	}
	g.resumed = make(chan struct{})
	go g.keepHolding(g.resumed)
	return nil
}

func (g *Guest) pause() (held C.int) {
	held = C.JAIL_HELD // one that is over runs no code
	g.withC(func(c *C.struct_jail) { held = C.jail_pause(c) })
	return held
}

// keepHolding is for a guest that was found in a host call where a thread cannot
// be stepped (arch.h).
func (g *Guest) keepHolding(resumed <-chan struct{}) {
	for i := range math.MaxInt {
		select {
		case <-g.done:
			return
		case <-resumed:
			return
		case <-time.After(holdInterval(i)):
		}
		if g.holdAgain(resumed) {
			return
		}
	}
}

// holdAgain says whether nothing is left to do.
func (g *Guest) holdAgain(resumed <-chan struct{}) bool {
	g.holding.Lock()
	defer g.holding.Unlock()
	return g.resumed != resumed || g.pause() == C.JAIL_HELD
}

// holdInterval: the first look comes soon, since a guest that just ran takes the
// signal at once.
func holdInterval(i int) time.Duration {
	return min(100*time.Microsecond<<min(i, 10), killInterval(i))
}

// Resume lets a guest that Pause holds go on.
//
// Errors: FailedPrecondition: it is not held.
func (g *Guest) Resume() error {
	g.holding.Lock()
	defer g.holding.Unlock()
	if g.resumed == nil {
		return fmt.Errorf("the guest is not paused: %w", errdefs.ErrFailedPrecondition)
	}
	g.withC(func(c *C.struct_jail) { C.jail_resume(c) })
	close(g.resumed)
	g.resumed = nil
	return nil
}

// withC calls f with the thread while it cannot be reaped.
func (g *Guest) withC(f func(*C.struct_jail)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.c != nil {
		f(g.c)
	}
}

// Done is closed when the guest is over. Its thread does nothing for it any more but
// end; its files are closed, save for stdio, which is a moment later.
func (g *Guest) Done() <-chan struct{} { return g.done }

// Result tells how the guest ended. It must not be called before Done.
func (g *Guest) Result() Result { return g.result }

// TID is the kernel's id of the guest's thread: /proc/TID/ns shows its
// namespaces. It is 0 before New returns.
func (g *Guest) TID() int { return g.tid }

// Memory is what of the guest's counts against its MemoryLimit, in bytes, 0 when it has
// not started or is over.
func (g *Guest) Memory() uint64 {
	var bytes C.uint64_t
	g.withC(func(c *C.struct_jail) { bytes = C.jail_memory(c) })
	return uint64(bytes)
}

// SetMemoryLimit changes the bytes of linear memory that the guest, and those beside
// it, may have; 0 means all that there can be.
//
// Errors: FailedPrecondition: it is over, or they have more.
func (g *Guest) SetMemoryLimit(bytes uint64) error {
	err := patiently(func() error {
		err := errDone
		g.withC(func(c *C.struct_jail) {
			err = nil
			if n := C.jail_set_limit(c, C.uint64_t(orMax(bytes, math.MaxUint64))); n != 0 {
				err = unix.Errno(n)
			}
		})
		return err
	})
	if err == nil || errors.Is(err, errDone) {
		return err
	}
	return fmt.Errorf("a memory limit of %d bytes is less than what the container has: %w", bytes, errdefs.ErrFailedPrecondition)
}

// CPUTime is the time that the guest's thread has run so far.
func (g *Guest) CPUTime() time.Duration {
	var ts unix.Timespec
	err := errDone
	g.withC(func(*C.struct_jail) { err = unix.ClockGettime(threadClock(g.tid), &ts) })
	if err != nil {
		<-g.done
		return g.result.CPUTime
	}
	return time.Duration(ts.Nano())
}

// threadClock is the id of a thread's CPU clock: clock_getcpuclockid(3) of a
// thread, MAKE_THREAD_CPUCLOCK in the kernel's posix-timers.h.
func threadClock(tid int) int32 {
	const perThread, sched = 4, 2
	return int32(^tid)<<3 | perThread | sched
}
