// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/typeurl/v2"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// suite is what the guests of one test have in common.
type suite struct {
	daemon *daemon.Daemon
	pid    int

	mu  sync.Mutex
	oom map[string]bool // ids of containers that died of their limit
}

func newSuite(t *testing.T, d *daemon.Daemon) *suite {
	t.Helper()
	s := &suite{daemon: d, pid: d.PID(), oom: map[string]bool{}}
	s.watchOOM(t)
	return s
}

// watchOOM notes who died of its memory limit, until the end of the test.
func (s *suite) watchOOM(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	stream, errs := s.daemon.Client().Subscribe(ctx,
		fmt.Sprintf("namespace==%q,topic==%q", s.daemon.Name, runtime.TaskOOMEventTopic))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case e := <-stream:
				if event, err := typeurl.UnmarshalAny(e.Event); err == nil {
					s.mu.Lock()
					s.oom[event.(*events.TaskOOM).ContainerID] = true
					s.mu.Unlock()
				}
			case <-errs:
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// checkOOM says whether there was an event as there should be. One that should not
// be there may come too late to be seen.
func (s *suite) checkOOM(id string, want bool) error {
	for deadline := time.Now().Add(daemon.Patience); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		got := s.oom[id]
		s.mu.Unlock()
		switch {
		case got == want:
			return nil
		case got:
			return fmt.Errorf("an event says that it died of its memory limit")
		case time.Now().After(deadline):
			return fmt.Errorf("no event says that it died of its memory limit")
		}
	}
}

// expand replaces what guests cannot know in their arguments.
func (s *suite) expand(args []string) []string {
	host, port, _ := strings.Cut(metrics, ":")
	r := strings.NewReplacer("$DAEMON_HOST", host, "$DAEMON_PORT", port, "$DAEMON_SOCKET", s.daemon.Address)
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = r.Replace(arg)
	}
	return out
}

// checkDaemon fails the test if the daemon is not the one from before, or does not
// answer.
func (s *suite) checkDaemon(t *testing.T) {
	t.Helper()
	if !s.daemon.Alive() || s.daemon.PID() != s.pid {
		t.Fatalf("the daemon with process id %d is gone", s.pid)
	}
	ctx, cancel := context.WithTimeout(t.Context(), daemon.Patience)
	defer cancel()
	if _, err := s.daemon.Client().Version(ctx); err != nil {
		t.Fatalf("the daemon does not answer: %v", err)
	}
}
