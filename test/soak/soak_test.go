// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// plan is what the environment says.
type plan struct {
	time    time.Duration
	clients int
	seed    uint64
}

func makePlan(t *testing.T) plan {
	t.Helper()
	p := plan{time: 5 * time.Second, clients: 6, seed: rand.Uint64()}
	var errs []error
	parse := func(name string, parse func(string) error) {
		if s := os.Getenv(name); s != "" {
			errs = append(errs, parse(s))
		}
	}
	parse("SOAK", func(s string) (err error) {
		p.time, err = time.ParseDuration(s)
		return err
	})
	parse("SOAK_CLIENTS", func(s string) (err error) {
		p.clients, err = strconv.Atoi(s)
		return err
	})
	parse("SOAK_SEED", func(s string) (err error) {
		p.seed, err = strconv.ParseUint(s, 0, 64)
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSoak has clients do everything to one daemon, and then looks for what is left.
func TestSoak(t *testing.T) {
	p := makePlan(t)
	t.Logf("%v with %d clients; SOAK_SEED=%d makes them do the same again", p.time, p.clients, p.seed)
	d := start(t)
	importAll(t, d)
	watcher, conn, err := d.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	defer conn.Close()

	go drainEvents(t.Context(), conn)

	tally := newTally(t)
	clients := makeClients(t, d, p, tally)
	warmUp(t, clients, p)
	before := rest(t, d, conn, clients)
	each(clients, func(c *client) { c.soak(time.Now().Add(p.time)) })
	for _, c := range clients {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
	if !d.Alive() {
		t.Fatal("the daemon died")
	}
	after := settle(t, d, conn, before)
	for _, line := range after.excess(before) {
		t.Errorf("left behind: %s", line)
	}
	checkRaces(t, d)
	t.Logf("summary\n%s", summary(tally, before, after))
}

// drainEvents takes CRI's events, as kubelet does. Else the daemon keeps the last
// thousand.
func drainEvents(ctx context.Context, conn *grpc.ClientConn) {
	events, err := criapi.NewRuntimeServiceClient(conn).GetContainerEvents(ctx, &criapi.GetEventsRequest{})
	for err == nil {
		_, err = events.Recv()
	}
}

func importAll(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	refs := slices.Clone(traps)
	for _, name := range []string{"echo", "exit", "hello-c", "mem", "sleep", "spin", "tick"} {
		d.Import(t, images.Wasm(name))
		refs = append(refs, images.Wasm(name).Ref)
	}
	importTraps(t, d)
	for _, name := range hostile {
		importSource(t, d, name, "../hostile/guests/"+name+".c")
		refs = append(refs, source(name))
	}
	// Compiled code stays, so there has to be all of it before.
	for _, ref := range refs {
		if err := with(t.Context(), d, daemon.Job{Image: ref}, func(*daemon.Container) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for name, module := range refused {
		importModule(t, d, name, module)
	}
}

func makeClients(t *testing.T, d *daemon.Daemon, p plan, l *tally) []*client {
	t.Helper()
	dir := t.TempDir()
	var out []*client
	for i := range p.clients {
		c, err := newClient(t.Context(), d, i, p.seed, l, dir)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// each lets all clients do something at once, and waits for them.
func each(clients []*client, do func(*client)) {
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { do(c) })
	}
	wg.Wait()
}

// warmUp makes what is there for good after it was needed once: each client does
// everything, and then a tenth of what it will.
func warmUp(t *testing.T, clients []*client, p plan) {
	t.Helper()
	each(clients, func(c *client) {
		for _, i := range c.Perm(len(actions)) {
			c.do(&actions[i])
		}
		c.soak(time.Now().Add(p.time / 10))
	})
	if t.Failed() {
		t.FailNow() // it would only fail more
	}
}

// rest waits until the daemon has nothing to do and gives nothing back any more, and
// looks at it.
func rest(t *testing.T, d *daemon.Daemon, conn grpc.ClientConnInterface, clients []*client) *snapshot {
	t.Helper()
	each(clients, func(c *client) {
		if err := c.connectAgain(); err != nil {
			t.Error(err)
		}
	})
	s := take(t, d, conn)
	for steady := 0; steady < 5; {
		time.Sleep(200 * time.Millisecond)
		next := take(t, d, conn)
		if steady++; next.less(s) {
			steady = 0
		}
		s = next
	}
	return s
}

func summary(l *tally, before, after *snapshot) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	l.print(w)
	after.print(w, before)
	w.Flush()
	return b.String()
}
