// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"

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
type box struct{ *daemon.Container }

func newID() string { return daemon.NewID() }

// prepare makes the container, which goes with the test, but no task.
func prepare(t testing.TB, d *daemon.Daemon, j job) *box {
	t.Helper()
	c, err := d.NewContainer(t.Context(), daemon.Job{
		Image: fullName(j.image), Args: j.args, Opts: j.opts, Stdin: j.stdin, Open: j.open, TTY: j.tty,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &box{c}
	t.Cleanup(func() { b.remove(t) })
	return b
}

func fullName(image string) string {
	if strings.Contains(image, "/") {
		return image
	}
	return images.Wasm(image).Ref
}

// create makes the container and its task.
func create(t testing.TB, d *daemon.Daemon, j job) *box {
	t.Helper()
	b := prepare(t, d, j)
	if err := b.CreateTask(); err != nil {
		t.Fatal(err)
	}
	return b
}

// start makes the container and starts it.
func start(t testing.TB, d *daemon.Daemon, j job) *box {
	t.Helper()
	b := create(t, d, j)
	if err := b.Task.Start(b.Ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs the container to its end.
func run(t testing.TB, d *daemon.Daemon, j job) daemon.Output {
	t.Helper()
	b := start(t, d, j)
	code := b.wait(t)
	b.remove(t)
	return daemon.Output{Stdout: b.Stdout.String(), Stderr: b.Stderr.String(), Code: code}
}

// attempt returns the error with which the container does not start.
func attempt(t testing.TB, d *daemon.Daemon, j job) error {
	t.Helper()
	b := prepare(t, d, j)
	if err := b.CreateTask(); err != nil {
		return err
	}
	return b.Task.Start(b.Ctx)
}

// wait returns the exit code of the task when it has ended.
func (b *box) wait(t testing.TB) int {
	t.Helper()
	code, err := b.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (b *box) kill(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := b.Task.Kill(b.Ctx, s); err != nil {
		t.Fatal(err)
	}
}

// delete removes the task.
func (b *box) delete(t testing.TB) {
	t.Helper()
	if _, err := b.Task.Delete(b.Ctx); err != nil {
		t.Fatal(err)
	}
	b.Task = nil
}

// remove removes whatever there is.
func (b *box) remove(t testing.TB) {
	t.Helper()
	if err := b.Remove(); err != nil {
		t.Error(err)
	}
}

// waitForOutput waits until the container has written text.
func (b *box) waitForOutput(t testing.TB, text string) {
	t.Helper()
	daemon.Eventually(t, "output of the container", func() error {
		if out := b.Stdout.String(); !strings.Contains(out, text) {
			return errors.New(out + b.Stderr.String())
		}
		return nil
	})
}

// waitUntilBusy waits until a guest without output has run for a while.
func waitUntilBusy() { time.Sleep(20 * time.Millisecond) }
