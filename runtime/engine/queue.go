// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"
	"sync"
)

// queue decides which compiler runs next. It is for Tier0; optimizing has a lane
// of its own (optimize.go).
//
// At most max run for starts. One that nobody waits for begins only while fewer
// than max run at all and no start is waiting, and does not keep a start from
// beginning. So there are never more than twice max.
type queue struct {
	max int

	mu      sync.Mutex
	running [priorities]int
	waiting [priorities][]*ticket // first come, first served
}

type priority int

const (
	forStart priority = iota
	forUnpack
	priorities
)

// A ticket is a place in the queue, and then the right to run.
//
//	waiting --granted--> running --leave--> gone
//	   +-----------------leave--------------^
type ticket struct {
	queue   *queue
	granted chan struct{} // closed when it may run

	// Guarded by queue.mu.
	priority priority
	running  bool
}

func (q *queue) enter(p priority) *ticket {
	t := &ticket{queue: q, granted: make(chan struct{}), priority: p}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[p] = append(q.waiting[p], t)
	q.dispatch()
	return t
}

// wait waits for the right to run. Whatever it returns, the caller leaves.
func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// promote is for a start that came to wait for what has been asked for without
// one.
func (t *ticket) promote() {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.priority == forStart {
		return
	}
	if t.running {
		q.running[t.priority]--
		q.running[forStart]++
	} else if q.remove(t) {
		q.waiting[forStart] = append(q.waiting[forStart], t)
	}
	t.priority = forStart
	q.dispatch()
}

func (t *ticket) leave() {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.running {
		t.running = false
		q.running[t.priority]--
	} else {
		q.remove(t)
	}
	q.dispatch()
}

// remove takes a ticket out of those that wait.
func (q *queue) remove(t *ticket) bool {
	i := slices.Index(q.waiting[t.priority], t)
	if i < 0 {
		return false
	}
	q.waiting[t.priority] = slices.Delete(q.waiting[t.priority], i, i+1)
	return true
}

// dispatch grants what may run now.
func (q *queue) dispatch() {
	for len(q.waiting[forStart]) > 0 && q.running[forStart] < q.max {
		q.grant(forStart)
	}
	for len(q.waiting[forStart]) == 0 && len(q.waiting[forUnpack]) > 0 && q.running[forStart]+q.running[forUnpack] < q.max {
		q.grant(forUnpack)
	}
}

func (q *queue) grant(p priority) {
	t := q.waiting[p][0]
	q.waiting[p] = q.waiting[p][1:]
	q.running[p]++
	t.running = true
	close(t.granted)
}

// length returns how many wait and how many run.
func (q *queue) length() (waiting, running int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := range priorities {
		waiting += len(q.waiting[p])
		running += q.running[p]
	}
	return waiting, running
}
