// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// execs are those of one task. newExecs returns none.
type execs struct {
	making sync.WaitGroup
	turns  chan struct{} // of takeTurn

	mu    sync.Mutex
	ended bool             // there will be no more
	all   map[string]*exec // nil: being made
	cpu   time.Duration    // of those that were deleted
}

// maxTurns is more than a container's probes and users need at once.
const maxTurns = 32

func newExecs() execs { return execs{turns: make(chan struct{}, maxTurns)} }

// takeTurn is for looking up and reading a module. Where a volume's server does not answer,
// that takes a thread of the daemon for as long, whatever becomes of the client; and Go
// ends a process with 10,000 of them. done follows.
func (e *execs) takeTurn(ctx context.Context) (done func(), err error) {
	select {
	case e.turns <- struct{}{}:
		return func() { <-e.turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for other execs, of which %d look for their modules: %w", len(e.turns), context.Cause(ctx))
	}
}

// reserve keeps a second exec of the same id out while the first is made; add
// or forget follows, and then made.
//
// Errors: AlreadyExists; FailedPrecondition: the task has ended.
func (e *execs) reserve(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.all[id]; ok {
		return fmt.Errorf("there is one of that id: %w", errdefs.ErrAlreadyExists)
	}
	if e.ended {
		return fmt.Errorf("the task has ended: %w", errdefs.ErrFailedPrecondition)
	}
	if e.all == nil {
		e.all = make(map[string]*exec)
	}
	e.all[id] = nil
	e.making.Add(1)
	return nil
}

func (e *execs) add(x *exec) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all[x.id] = x
}

func (e *execs) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.all, id)
}

// get returns nil for one that is not there, or not made yet.
func (e *execs) get(id string) *exec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[id]
}

// remove forgets one that is over, but for its CPU time. It says whether it was
// there.
func (e *execs) remove(x *exec) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all[x.id] != x {
		return false
	}
	delete(e.all, x.id)
	e.cpu += x.guest.CPUTime()
	return true
}

func (e *execs) list() []*exec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(e.all)), func(x *exec) bool { return x == nil })
}

// usage is what all took and take.
func (e *execs) usage() usage {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := usage{cpu: e.cpu}
	for _, x := range e.all {
		if x != nil {
			u.add(x.usage())
		}
	}
	return u
}

// madeTime is how long the end of a container waits for execs that are being made, which
// end with it unless they wait for a volume in the kernel. They cannot join its group
// any more, once that is gone.
const madeTime = 10 * time.Second

func (e *execs) awaitMade() {
	made := make(chan struct{})
	go func() {
		e.making.Wait()
		close(made)
	}()
	select {
	case <-made:
	case <-time.After(madeTime):
	}
}

// lateTime is how long a container's exit waits for those of its execs: these come
// first, as with runc's shim.
const lateTime = 250 * time.Millisecond

// end is for when the task's own guest is gone, which is the end of all of them.
// They are over when it returns, and their exits published, unless their clients take
// long to read the output: the container's exit does not wait for these.
func (e *execs) end() {
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.awaitMade()
	all := e.list()
	for _, x := range all {
		_ = x.Kill(context.Background(), uint32(unix.SIGKILL), false) // NotFound: it has ended
	}
	for _, x := range all {
		<-x.gone
	}
	late := time.After(lateTime)
	for _, x := range all {
		select {
		case <-x.done:
		case <-late:
			return
		}
	}
}
