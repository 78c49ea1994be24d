// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
)

// Job is a container of our runtime to be made.
type Job struct {
	Image string   // its full name
	Args  []string // after the entrypoint
	Opts  []oci.SpecOpts
	// Stdin is what the container reads; Open keeps it open after that.
	Stdin string
	Open  bool
	TTY   bool
	// Unread leaves the container's output in its FIFOs, where it blocks when
	// they are full.
	Unread bool
	Client *containerd.Client // nil: the daemon's
}

// Container is a container with at most one task. Its methods may be called from
// any goroutine.
type Container struct {
	containerd.Container
	Daemon *Daemon
	Task   containerd.Task // nil: none yet, or deleted
	Ctx    context.Context // with the namespace; it does not end
	// Stdout and Stderr hold what the task wrote so far.
	Stdout, Stderr Buffer

	job     Job
	removed bool
}

// Buffer may be read while the container writes. It keeps the first MiB: a guest
// may write for ever.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const maxBuffer = 1 << 20

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Write(p[:min(len(p), maxBuffer-b.b.Len())])
	return len(p), nil
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var lastID atomic.Int64

// NewID names a container, so that one that is left does not fail other tests.
func NewID() string { return fmt.Sprintf("c%d", lastID.Add(1)) }

// NewContainer makes a container in namespace d.Name, without a task. The caller
// removes it.
func (d *Daemon) NewContainer(ctx context.Context, j Job) (*Container, error) {
	// Whatever is removed is removed when a test's own context has ended.
	ctx = namespaces.WithNamespace(context.WithoutCancel(ctx), d.Name)
	client := j.Client
	if client == nil {
		client = d.Client()
	}
	image, err := client.GetImage(ctx, j.Image)
	if err != nil {
		return nil, err
	}
	id := NewID()
	opts := append([]oci.SpecOpts{oci.WithImageConfigArgs(image, j.Args)}, j.Opts...)
	if j.TTY {
		opts = append(opts, oci.WithTTY)
	}
	c, err := client.NewContainer(ctx, id,
		containerd.WithImage(image),
		containerd.WithSnapshotter(Snapshotter),
		containerd.WithNewSnapshot(id, image),
		containerd.WithRuntime(Runtime, nil),
		containerd.WithNewSpec(opts...))
	if err != nil {
		return nil, err
	}
	return &Container{Container: c, Daemon: d, Ctx: ctx, job: j}, nil
}

// createTimeout is what compiling a module takes at most, and a machine in trouble.
const createTimeout = 4 * time.Minute

// CreateTask makes the container's task, which waits for Task.Start.
func (c *Container) CreateTask() error {
	ctx, cancel := context.WithTimeout(c.Ctx, createTimeout)
	defer cancel()
	task, err := c.NewTask(ctx, c.io())
	if err != nil {
		return err
	}
	c.Task = task
	if c.job.Open || c.job.Unread {
		return nil
	}
	// A client has to say that nobody else will write.
	return task.CloseIO(c.Ctx, containerd.WithStdinCloser)
}

func (c *Container) io() cio.Creator {
	if c.job.Unread {
		return c.unread
	}
	var stdin io.Reader = strings.NewReader(c.job.Stdin)
	if c.job.Open {
		r, _ := io.Pipe()
		stdin = io.MultiReader(stdin, r)
	}
	streams := []cio.Opt{cio.WithStreams(stdin, &c.Stdout, &c.Stderr), cio.WithFIFODir(c.Daemon.FIFODir())}
	if c.job.TTY {
		streams = append(streams, cio.WithTerminal)
	}
	return cio.NewCreator(streams...)
}

// unread opens the task's output and leaves it there.
func (c *Container) unread(id string) (cio.IO, error) {
	set, err := cio.NewFIFOSetInDir(c.Daemon.FIFODir(), id, false)
	if err != nil {
		return nil, err
	}
	set.Stdin = ""
	return cio.NewDirectIO(c.Ctx, set)
}

// Wait returns the exit code of the task when it has ended and all of its output is
// here, or an error when that is not within Patience. (Deleting a task ends the
// reading of its output, wherever it is.)
func (c *Container) Wait() (int, error) {
	ctx, cancel := context.WithTimeout(c.Ctx, Patience)
	defer cancel()
	ch, err := c.Task.Wait(ctx)
	if err != nil {
		return 0, err
	}
	status := <-ch
	if err := status.Error(); err != nil {
		return 0, fmt.Errorf("waiting for the end of task %s: %w", c.ID(), err)
	}
	read := make(chan struct{})
	go func() {
		c.Task.IO().Wait()
		close(read)
	}()
	select {
	case <-read:
		return int(status.ExitCode()), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("task %s has ended, and its output has not", c.ID())
	}
}

// DeleteTask removes the task, which is killed if it runs.
func (c *Container) DeleteTask() error {
	if c.Task == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Ctx, Patience)
	defer cancel()
	task := c.Task
	c.Task = nil
	_, err := task.Delete(ctx, containerd.WithProcessKill)
	if errdefs.IsNotFound(err) {
		return task.IO().Close() // which Delete leaves then
	}
	if err != nil {
		return fmt.Errorf("deleting task %s: %w", c.ID(), err)
	}
	return nil
}

// Remove removes whatever there is, once.
func (c *Container) Remove() error {
	err := c.DeleteTask()
	if c.removed {
		return err
	}
	c.removed = true
	ctx, cancel := context.WithTimeout(c.Ctx, Patience)
	defer cancel()
	if e := c.Delete(ctx, containerd.WithSnapshotCleanup); e != nil {
		err = errors.Join(err, fmt.Errorf("deleting container %s: %w", c.ID(), e))
	}
	return err
}
