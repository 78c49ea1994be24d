// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sys/unix"
)

// Compilations counts what the daemon's compiler makes, and the starts that wait for
// it. It learns of both from events.
type Compilations struct {
	mu      sync.Mutex
	digests map[string]bool
	waits   int
}

// WatchCompilations counts for the rest of the test.
func (d *Daemon) WatchCompilations(t testing.TB) *Compilations {
	t.Helper()
	c := &Compilations{digests: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	all, _ := d.Client().EventService().Subscribe(ctx, `topic=="/content/create"`, `topic=="/wasm/compile-wait"`)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-all:
				if v, err := typeurl.UnmarshalAny(e.Event); err == nil {
					c.see(e.Topic, v)
				}
			}
		}
	}()
	time.Sleep(100 * time.Millisecond) // for the subscription
	return c
}

func (c *Compilations) see(topic string, event any) {
	created, ok := event.(*eventstypes.ContentCreate)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case topic == "/wasm/compile-wait":
		c.waits++
	case created.GetMediaType() == "application/vnd.containerd-wasm.compiled.v1":
		c.digests[created.GetDigest()] = true
	}
}

// Count is the number of compilations that succeeded: each has a result of its own,
// and namespaces share it.
func (c *Compilations) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.digests)
}

// Waits is the number of starts that waited for the compiler.
func (c *Compilations) Waits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waits
}

// LendToCompilers gives the daemon's compilers a processor: on a machine that is busy,
// those that optimize would have none for as long.
func (d *Daemon) LendToCompilers() {
	for _, child := range d.Children() {
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", child.PID))
		for _, thread := range threads {
			if tid, err := strconv.Atoi(thread.Name()); err == nil {
				_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0) // it may have ended
			}
		}
	}
}
