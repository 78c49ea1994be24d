// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// A guest's input goes on when its client goes away: another one may be attached, as
// with runc's shim.
func TestStdinOutlivesItsClient(t *testing.T) {
	for name, tty := range map[string]bool{"pipe": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			b := prepare(t, d, job{image: "echo", tty: tty})
			var set *cio.FIFOSet
			var streams *cio.DirectIO
			task, err := b.NewTask(b.Ctx, func(id string) (_ cio.IO, err error) {
				if set, err = cio.NewFIFOSetInDir(d.FIFODir(), id, tty); err == nil {
					streams, err = cio.NewDirectIO(b.Ctx, set)
				}
				return streams, err
			})
			if err != nil {
				t.Fatal(err)
			}
			b.Task = task
			go func() { _, _ = io.Copy(&b.Stdout, streams.Stdout) }()
			if err := task.Start(b.Ctx); err != nil {
				t.Fatal(err)
			}
			write := func(stdin io.WriteCloser, text string) {
				t.Helper()
				if _, err := io.WriteString(stdin, text); err != nil {
					t.Fatal(err)
				}
				stdin.Close()
				b.waitForOutput(t, text)
				waitUntilBusy()
				b.expectStatus(t, containerd.Running)
			}
			write(streams.Stdin, "first")
			second, err := os.OpenFile(set.Stdin, os.O_WRONLY|unix.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			write(second, "second")
			if err := task.CloseIO(b.Ctx, containerd.WithStdinCloser); err != nil {
				t.Error(err)
			}
			if code := waitForExit(b.Ctx, t, task); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestStdinOfAnExecOutlivesItsClient(t *testing.T) {
	b := sleeper(t, shared(t))
	r, w := io.Pipe()
	e := b.exec(t, command("/echo.wasm"), r)
	if _, err := io.WriteString(w, "text"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	daemon.Eventually(t, "its input", func() error {
		if got := e.stdout.String(); got != "text" {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
	waitUntilBusy()
	e.expectStatus(t, containerd.Running)
	if err := e.CloseIO(b.Ctx, containerd.WithStdinCloser); err != nil {
		t.Error(err)
	}
	expect(t, e.wait(t), 0, "text")
}

func waitForExit(ctx context.Context, t testing.TB, p containerd.Process) uint32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, daemon.Patience)
	defer cancel()
	ch, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	status := <-ch
	if err := status.Error(); err != nil {
		t.Fatal(err)
	}
	return status.ExitCode()
}
