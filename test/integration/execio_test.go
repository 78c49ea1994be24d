// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

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
	startExec(t, b, path)
	select {
	case text := <-read:
		if text != "sleeping\n" {
			t.Errorf("it read %q", text)
		}
	case <-time.After(daemon.Patience):
		t.Error("it waits for an output that is lost")
	}
}

// startExec starts a short exec whose output goes to a FIFO, and returns its id.
func startExec(t *testing.T, b *box, path string) string {
	t.Helper()
	spec, err := typeurl.MarshalAnyToProto(command("/sleep.wasm", "0"))
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

// The exit of a guest is no news before its output is with a client that only gets its
// turn late, as on a machine that is busy.
func TestExitComesAfterTheOutput(t *testing.T) {
	b := sleeper(t, shared(t))
	path := filepath.Join(t.TempDir(), "out")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id := startExec(t, b, path)
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
