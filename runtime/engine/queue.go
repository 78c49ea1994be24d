// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
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
	waiting [priorities]lines
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
	tenants  []string // in whose lines it waits
	running  bool
}

func (q *queue) enter(p priority, tenant string) *ticket {
	t := &ticket{queue: q, granted: make(chan struct{}), priority: p}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[p].add(tenant, t)
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

// promote is for a tenant's start that came to wait for what has been asked for
// without one, or by others.
func (t *ticket) promote(tenant string) {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case t.running:
		q.running[t.priority]--
		q.running[forStart]++
	case len(t.tenants) == 0: // it has left
		return
	default:
		if t.priority != forStart {
			q.waiting[t.priority].remove(t)
		}
		q.waiting[forStart].add(tenant, t)
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
		q.waiting[t.priority].remove(t)
	}
	q.dispatch()
}

// dispatch grants what may run now.
func (q *queue) dispatch() {
	for q.waiting[forStart].n > 0 && q.running[forStart] < q.max {
		q.grant(forStart)
	}
	for q.waiting[forStart].n == 0 && q.waiting[forUnpack].n > 0 && q.running[forStart]+q.running[forUnpack] < q.max {
		q.grant(forUnpack)
	}
}

func (q *queue) grant(p priority) {
	t := q.waiting[p].next()
	q.running[p]++
	t.running = true
	close(t.granted)
}

// length returns how many wait and how many run.
func (q *queue) length() (waiting, running int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := range priorities {
		waiting += q.waiting[p].n
		running += q.running[p]
	}
	return waiting, running
}
