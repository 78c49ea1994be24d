// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// quietTime is how long the exit of a guest waits for a client that reads nothing more
// (runtime/stdio.go).
const quietTime = time.Second

// An exec does not end before its client could open its output.
func TestExecWithALateReader(t *testing.T) {
	b := sleeper(t, shared(t))
	path := filepath.Join(t.TempDir(), "out")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		time.Sleep(200 * time.Millisecond)
		f, err := os.Open(path)
		if err != nil {
			read <- err.Error()
			return
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		if err != nil {
			read <- err.Error()
		}
		read <- string(text)
	}()
	startExec(t, b, path, "/sleep.wasm", "0")
	select {
	case text := <-read:
		if text != "sleeping\n" {
			t.Errorf("it read %q", text)
		}
	case <-time.After(daemon.Patience):
		t.Error("it waits for an output that is lost")
	}
}

// startExec starts an exec whose output goes to a FIFO, and returns its id.
func startExec(t *testing.T, b *box, path string, args ...string) string {
	t.Helper()
	spec, err := typeurl.MarshalAnyToProto(command(args...))
	if err != nil {
		t.Fatal(err)
	}
	service, id := b.Daemon.Client().TaskService(), newID()
	if _, err := service.Exec(b.Ctx, &tasks.ExecProcessRequest{ContainerID: b.ID(), ExecID: id, Stdout: path, Spec: spec}); err != nil {
		t.Fatal(err)
	}
	if _, err := service.Start(b.Ctx, &tasks.StartRequest{ContainerID: b.ID(), ExecID: id}); err != nil {
		t.Fatal(err)
	}
	return id
}

// output is a FIFO for what an exec writes, and its end for a client.
func output(t *testing.T) (path string, f *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "out")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return path, f
}

// The exit of a guest is no news before its output is with a client that only gets its
// turn late, as on a machine that is busy.
func TestExitComesAfterTheOutput(t *testing.T) {
	b := sleeper(t, shared(t))
	path, f := output(t)
	id := startExec(t, b, path, "/sleep.wasm", "0")
	read := make(chan string, 1)
	go func() {
		time.Sleep(500 * time.Millisecond)
		buf := make([]byte, 100)
		n, _ := f.Read(buf)
		read <- string(buf[:n])
	}()
	if _, err := b.Daemon.Client().TaskService().Wait(b.Ctx, &tasks.WaitRequest{ContainerID: b.ID(), ExecID: id}); err != nil {
		t.Fatal(err)
	}
	if left, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ); err != nil || left > 0 {
		t.Errorf("%d bytes were left at the exit (%v)", left, err)
	}
	if text := <-read; text != "sleeping\n" {
		t.Errorf("the client read %q", text)
	}
}

// A container's exit waits for nobody who reads the output of its execs, which loses
// nothing.
func TestExitBeforeTheOutputOfExecs(t *testing.T) {
	b := sleeper(t, shared(t))
	path, f := output(t)
	id := startExec(t, b, path, "/sleep.wasm")
	const want = "sleeping\n"
	daemon.Eventually(t, "output of the exec", func() error {
		if n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ); n != len(want) {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		return nil
	})
	b.kill(t, syscall.SIGKILL)
	var text []byte
	var at time.Time
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for buf := make([]byte, 1); len(text) < len(want); {
			time.Sleep(quietTime / 2)
			if n, _ := f.Read(buf); n == 0 {
				break
			}
			text = append(text, buf...)
		}
		at = time.Now()
	}()
	if code := b.wait(t); code != 137 {
		t.Errorf("exit code %d", code)
	}
	exit, err := b.Task.Status(b.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-taken:
		t.Error("the container's exit waited for the client of an exec")
	default:
	}
	r, err := b.Daemon.Client().TaskService().Wait(b.Ctx, &tasks.WaitRequest{ContainerID: b.ID(), ExecID: id})
	if err != nil || r.GetExitStatus() != 137 {
		t.Errorf("the exec's exit: %+v, %v", r, err)
	}
	<-taken
	if string(text) != want {
		t.Errorf("the client of the exec read %q", text)
	}
	if !exit.ExitTime.Before(at.Add(-quietTime)) || !r.GetExitedAt().AsTime().Before(at.Add(-quietTime)) {
		t.Errorf("both ended at %v and %v, and all was read at %v", exit.ExitTime, r.GetExitedAt().AsTime(), at)
	}
}
