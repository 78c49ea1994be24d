// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// job is a container to be made.
type job struct {
	image string   // one of guests, or an image's full name
	args  []string // after the entrypoint
	opts  []oci.SpecOpts
	// stdin is what the container reads; open keeps it open after that.
	stdin string
	open  bool
	tty   bool
}

// box is a container with its task.
type box struct {
	containerd.Container
	client         *containerd.Client
	task           containerd.Task
	ctx            context.Context
	stdout, stderr buffer
	removed        bool
}

// buffer may be read while the container writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var lastID atomic.Int64

// newID names a container, so that one that is left does not fail other tests.
func newID() string { return fmt.Sprintf("c%d", lastID.Add(1)) }

// prepare makes the container, which goes with the test, but no task.
func prepare(t testing.TB, d *daemon.Daemon, j job) *box {
	t.Helper()
	// Clean-ups run when the test's own context has ended.
	ctx := namespaces.WithNamespace(context.WithoutCancel(t.Context()), d.Name)
	image, err := d.Client().GetImage(ctx, fullName(j.image))
	if err != nil {
		t.Fatal(err)
	}
	id := newID()
	opts := append([]oci.SpecOpts{oci.WithImageConfigArgs(image, j.args)}, j.opts...)
	if j.tty {
		opts = append(opts, oci.WithTTY)
	}
	c, err := d.Client().NewContainer(ctx, id,
		containerd.WithImage(image),
		containerd.WithSnapshotter(daemon.Snapshotter),
		containerd.WithNewSnapshot(id, image),
		containerd.WithRuntime(daemon.Runtime, nil),
		containerd.WithNewSpec(opts...))
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Container: c, client: d.Client(), ctx: ctx}
	t.Cleanup(func() { b.remove(t) })
	return b
}

func fullName(image string) string {
	if strings.Contains(image, "/") {
		return image
	}
	return images.Wasm(image).Ref
}

// createTask makes the task.
func (b *box) createTask(j job) error {
	var stdin io.Reader = strings.NewReader(j.stdin)
	if j.open {
		r, _ := io.Pipe()
		stdin = io.MultiReader(stdin, r)
	}
	streams := []cio.Opt{cio.WithStreams(stdin, &b.stdout, &b.stderr)}
	if j.tty {
		streams = append(streams, cio.WithTerminal)
	}
	task, err := b.NewTask(b.ctx, cio.NewCreator(streams...))
	if err != nil {
		return err
	}
	b.task = task
	if j.open {
		return nil
	}
	// A client has to say that nobody else will write.
	return task.CloseIO(b.ctx, containerd.WithStdinCloser)
}

// create makes the container and its task.
func create(t testing.TB, d *daemon.Daemon, j job) *box {
	t.Helper()
	b := prepare(t, d, j)
	if err := b.createTask(j); err != nil {
		t.Fatal(err)
	}
	return b
}

// start makes the container and starts it.
func start(t testing.TB, d *daemon.Daemon, j job) *box {
	t.Helper()
	b := create(t, d, j)
	if err := b.task.Start(b.ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs the container to its end.
func run(t testing.TB, d *daemon.Daemon, j job) daemon.Output {
	t.Helper()
	b := start(t, d, j)
	code := b.wait(t)
	b.remove(t) // waits until all output is here
	return daemon.Output{Stdout: b.stdout.String(), Stderr: b.stderr.String(), Code: code}
}

// attempt returns the error with which the container does not start.
func attempt(t testing.TB, d *daemon.Daemon, j job) error {
	t.Helper()
	b := prepare(t, d, j)
	if err := b.createTask(j); err != nil {
		return err
	}
	return b.task.Start(b.ctx)
}

// wait returns the exit code of the task when it has ended.
func (b *box) wait(t testing.TB) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, daemon.Patience)
	defer cancel()
	ch, err := b.task.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	status := <-ch
	if err := status.Error(); err != nil {
		t.Fatalf("waiting for the end of the task: %v", err)
	}
	return int(status.ExitCode())
}

func (b *box) kill(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := b.task.Kill(b.ctx, s); err != nil {
		t.Fatal(err)
	}
}

// delete removes the task.
func (b *box) delete(t testing.TB) {
	t.Helper()
	if _, err := b.task.Delete(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.task = nil
}

// remove removes whatever there is.
func (b *box) remove(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, daemon.Patience)
	defer cancel()
	if b.task != nil {
		if _, err := b.task.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			t.Errorf("deleting task %s: %v", b.ID(), err)
		}
	}
	b.task = nil
	if b.removed {
		return
	}
	b.removed = true
	if err := b.Delete(ctx, containerd.WithSnapshotCleanup); err != nil {
		t.Errorf("deleting container %s: %v", b.ID(), err)
	}
}

// waitForOutput waits until the container has written text.
func (b *box) waitForOutput(t testing.TB, text string) {
	t.Helper()
	daemon.Eventually(t, "output of the container", func() error {
		if out := b.stdout.String(); !strings.Contains(out, text) {
			return errors.New(out + b.stderr.String())
		}
		return nil
	})
}

// waitUntilBusy waits until a guest without output has run for a while.
func waitUntilBusy() { time.Sleep(20 * time.Millisecond) }
