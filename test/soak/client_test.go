// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// client does one action after the other, over connections of its own.
type client struct {
	*rand.Rand
	number int
	daemon *daemon.Daemon
	tally  *tally
	ctx    context.Context // with the namespace

	containerd *containerd.Client
	conn       *grpc.ClientConn
	dir        string // for logs of pods
	pods       int    // so far
}

// newClient's actions follow from the seed and its number.
func newClient(ctx context.Context, d *daemon.Daemon, number int, seed uint64, t *tally, dir string) (*client, error) {
	c := &client{
		Rand:   rand.New(rand.NewPCG(seed, uint64(number))),
		number: number,
		daemon: d,
		tally:  t,
		ctx:    namespaces.WithNamespace(ctx, d.Name),
		dir:    dir,
	}
	return c, c.connect()
}

func (c *client) connect() (err error) {
	c.containerd, c.conn, err = c.daemon.Dial()
	return err
}

func (c *client) close() error { return errors.Join(c.containerd.Close(), c.conn.Close()) }

func (c *client) cri() criapi.RuntimeServiceClient { return criapi.NewRuntimeServiceClient(c.conn) }

// do does one action.
func (c *client) do(a *action) {
	if err := a.do(c); err != nil {
		c.tally.fail(a.name, fmt.Errorf("client %d: %s: %w", c.number, a.name, err))
	}
	c.tally.count(a.name)
}

// soak does actions until the time is over.
func (c *client) soak(until time.Time) {
	for time.Now().Before(until) && c.ctx.Err() == nil && c.daemon.Alive() {
		c.do(choose(c.Rand))
	}
}

// pause waits for a moment that nobody chose.
func (c *client) pause(longest time.Duration) { time.Sleep(rand.N(longest)) }

// oneOf returns the name of the image of one of the guests.
func (c *client) oneOf(names ...string) string { return images.Wasm(names[c.IntN(len(names))]).Ref }

// with makes a container and its task, and removes both.
func (c *client) with(j daemon.Job, f func(*daemon.Container) error) error {
	j.Client = c.containerd
	return with(c.ctx, c.daemon, j, f)
}

// started makes a container and starts it.
func (c *client) started(j daemon.Job, f func(*daemon.Container) error) error {
	return c.with(j, func(x *daemon.Container) error {
		begin := time.Now()
		if err := x.Task.Start(x.Ctx); err != nil {
			return err
		}
		c.tally.took("start", time.Since(begin))
		return f(x)
	})
}

// signals end a guest.
var signals = []unix.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGINT}

// kill ends a guest, which has no end of its own.
func (c *client) kill(x *daemon.Container) error {
	signal := signals[c.IntN(len(signals))]
	begin := time.Now()
	if err := x.Task.Kill(x.Ctx, signal); err != nil {
		return err
	}
	if err := expectEnd(x, 128+int(signal)); err != nil {
		return err
	}
	c.tally.took("kill", time.Since(begin))
	return nil
}
