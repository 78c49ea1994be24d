// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

const (
	controlC     = "\x03"
	controlD     = "\x04"
	controlV     = "\x16"
	controlSlash = "\x1c"
)

func TestCtrRunOnATerminal(t *testing.T) {
	for name, tc := range map[string]struct {
		image  string
		keys   string // typed when the guest runs
		screen string
		code   int
	}{
		"output":       {"exit", "", "", 0},
		"end of input": {"echo", "some text\r" + controlD, "some text\nsome text\n", 0},
		// Whether the echo is seen before the guest's end is a matter of chance.
		"interrupt":      {"echo", "some" + controlC, "", 130},
		"quit":           {"echo", controlSlash, "", 131},
		"a busy guest":   {"spin", controlC, "", 130},
		"a quoted key":   {"echo", controlV + controlC + "\r" + controlD, "\x03\n", 0},
		"editing a line": {"echo", "ab\x7fc\r" + controlD, "\nac\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			id := newID()
			args := append(d.RunArgs("-t"), images.Wasm(tc.image).Ref, id)
			term := d.CtrOnTerminal(t, args...)
			if tc.keys != "" {
				waitUntilRunning(t, d, id)
				term.Type(t, tc.keys)
			}
			if code := term.Wait(t); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if got := term.Text(); !strings.Contains(got, tc.screen) {
				t.Errorf("the screen has %q, want %q", got, tc.screen)
			}
		})
	}
}

func waitUntilRunning(t *testing.T, d *daemon.Daemon, id string) {
	t.Helper()
	daemon.Eventually(t, "the task to run", func() error {
		if out := d.Ctr(t, "tasks", "ls"); !strings.Contains(out.Stdout, id) || !strings.Contains(out.Stdout, "RUNNING") {
			return fmt.Errorf("%s%s", out.Stdout, out.Stderr)
		}
		return nil
	})
}

func TestCtrExecOnATerminal(t *testing.T) {
	d := shared(t)
	b := sleeper(t, d)
	term := d.CtrOnTerminal(t, "tasks", "exec", "-t", "--fifo-dir", d.FIFODir(), "--exec-id", "e", b.ID(), "/echo.wasm")
	daemon.Eventually(t, "the exec", func() error {
		if pids, err := b.Task.Pids(b.Ctx); err != nil || len(pids) != 2 {
			return fmt.Errorf("pids %v, %w", pids, err)
		}
		return nil
	})
	term.Type(t, "text\r")
	term.Expect(t, strings.Repeat("text\n", 2))
	term.Type(t, controlC)
	if code := term.Wait(t); code != 130 {
		t.Errorf("exit code %d", code)
	}
	b.expectStatus(t, containerd.Running)
}

func TestTerminalSize(t *testing.T) {
	d := shared(t)
	b := start(t, d, job{image: toolsImage, tty: true})
	b.waitForOutput(t, "sleeping\r\n")
	check := func(tid uint32, columns, rows uint16) {
		t.Helper()
		if c, r, err := daemon.WindowSize(d.PID(), tid); c != columns || r != rows || err != nil {
			t.Errorf("the terminal has %d columns and %d rows (%v), want %d and %d", c, r, err, columns, rows)
		}
	}
	if err := b.Task.Resize(b.Ctx, 132, 43); err != nil {
		t.Fatal(err)
	}
	check(b.Task.Pid(), 132, 43)
	if err := b.Task.Resize(b.Ctx, 1<<16, 1); !errdefs.IsInvalidArgument(err) {
		t.Errorf("65536 columns: %v", err)
	}
	p := command("/sleep.wasm")
	p.Terminal = true
	e := b.exec(t, p, strings.NewReader(""))
	if err := e.Resize(b.Ctx, 100, 50); err != nil {
		t.Fatal(err)
	}
	check(e.Pid(), 100, 50)
	check(b.Task.Pid(), 132, 43)
	daemon.Eventually(t, "output of the exec", func() error {
		if got := e.stdout.String(); got == "" {
			return errors.New("none")
		}
		return nil
	})
	if err := e.Kill(b.Ctx, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, e.wait(t), 137, "sleeping\r\n")
	if err := e.Resize(b.Ctx, 80, 24); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("after its end: %v", err)
	}
}

// No guest's terminal becomes the daemon's.
func TestDaemonHasNoTerminal(t *testing.T) {
	d := shared(t)
	b := start(t, d, job{image: "sleep", tty: true})
	b.waitForOutput(t, "sleeping")
	for _, tid := range []uint32{uint32(d.PID()), b.Task.Pid()} {
		// PID (COMMAND) STATE PPID PGRP SESSION TTY ... (proc(5))
		_, rest, _ := strings.Cut(readFile(t, fmt.Sprintf("/proc/%d/task/%d/stat", d.PID(), tid)), ") ")
		if fields := strings.Fields(rest); fields[4] != "0" {
			t.Errorf("thread %d has terminal %s", tid, fields[4])
		}
	}
}

// All that was written arrives, also what the guest left when it ended.
func TestTerminalLosesNothing(t *testing.T) {
	d := shared(t)
	text := strings.Repeat("0123456789abcdef\n", 1<<14)
	ref := importFiles(t, d, map[string][]byte{"/text": []byte(text), "/cat.wasm": compiledGuest(t, "cat")}, "/cat.wasm", "/text")
	b := start(t, d, job{image: ref, tty: true})
	if code := b.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := b.Stdout.String(); got != strings.ReplaceAll(text, "\n", "\r\n") {
		t.Errorf("%d bytes arrived, of %d", len(got), len(text)+1<<14)
	}
}

func compiledGuest(t testing.TB, name string) []byte {
	t.Helper()
	module, err := images.Compile(t.Context(), images.Wasm(name))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// A client that reads nothing stops its guest, which can be ended, and nothing else.
func TestTerminalThatNobodyReads(t *testing.T) {
	d := shared(t)
	ref := importModule(t, d, fromSource(t, "flood.wat"))
	b := prepare(t, d, job{image: ref, tty: true})
	task, err := b.NewTask(b.Ctx, func(id string) (cio.IO, error) {
		set, err := cio.NewFIFOSetInDir(d.FIFODir(), id, true)
		if err != nil {
			return nil, err
		}
		set.Stdin = ""
		return cio.NewDirectIO(b.Ctx, set)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Task = task
	if err := task.Start(b.Ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	stopped := cpuTime(t, b)
	expect(t, run(t, d, job{image: "sleep", args: []string{"0"}, tty: true}), 0, "sleeping\r\n")
	if now := cpuTime(t, b); now != stopped {
		t.Errorf("the guest ran for %v more", now-stopped)
	}
	begin := time.Now()
	ch, err := task.Wait(b.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.kill(t, syscall.SIGKILL)
	if s := <-ch; s.ExitCode() != 137 || time.Since(begin) > killLimit {
		t.Errorf("exit code %d after %v", s.ExitCode(), time.Since(begin))
	}
	b.delete(t)
	if took := time.Since(begin); took > patience.For(5*time.Second) {
		t.Errorf("deleting it took %v", took)
	}
}
