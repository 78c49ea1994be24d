// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestGuestEndsOnItsOwn(t *testing.T) {
	for _, tc := range []struct {
		module string
		want   Result
	}{
		{"hello", Result{Ending: Exited}},
		{"exit", Result{Ending: Exited, Code: 42}},
		{"trap", Result{Ending: Trapped, Message: "unreachable"}},
		{"divide", Result{Ending: Trapped, Message: "integer divide by zero"}},
		{"bounds", Result{Ending: Trapped, Message: "out of bounds memory access"}},
		{"recurse", Result{Ending: Overflowed, Message: "call stack exhausted"}},
		{"recurse_host", Result{Ending: Overflowed, Message: "call stack exhausted"}},
		{"raise", Result{Ending: Exited, Code: 7}},
		{"poll_wrap", Result{Ending: Trapped, Message: "the engine could not carry out a host call"}},
		{"getaddrinfo", Result{Ending: Exited}},
		{"random", Result{Ending: Exited}},
		{"assert", Result{Ending: Trapped, Message: "the engine could not carry out a host call"}},
		{"subscribe", Result{Ending: Trapped, Message: "the engine could not carry out a host call"}},
	} {
		t.Run(tc.module, func(t *testing.T) {
			got := runGuest(t, spec(t, tc.module))
			if got.Ending != tc.want.Ending || got.Code != tc.want.Code || got.Message != tc.want.Message {
				t.Fatalf("got %+v, want %+v", got, tc.want)
			}
			if err := nilDereference(); err == nil {
				t.Fatal("a nil dereference after the guest was not recovered")
			}
		})
	}
}

func TestOutputIsTheGuestsAlone(t *testing.T) {
	s := spec(t, "hello")
	out := stdout(t, s)
	runGuest(t, s)
	if got := out(); got != "hello\n" {
		t.Fatalf("stdout is %q", got)
	}
	s = spec(t, "trap")
	out = stdout(t, s)
	runGuest(t, s)
	if got := out(); got != "" {
		t.Fatalf("the engine wrote %q to the guest's stdout", got)
	}
}

func TestMissingEntry(t *testing.T) {
	s := spec(t, "hello")
	s.Entry = "main"
	err := create(t, s).Start()
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), `exports no function "main"`) {
		t.Fatalf("got %v", err)
	}
}

func TestIsolationErrorsNameTheCause(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*Spec)
		is   func(error) bool
		want string
	}{
		{"root", func(s *Spec) { s.Rootfs = "/does/not/exist" }, errdefs.IsNotFound, `open_tree "/does/not/exist"`},
		{"netns", func(s *Spec) { s.NetNS = "/does/not/exist" }, errdefs.IsNotFound, `open network namespace "/does/not/exist"`},
		{"not a netns", func(s *Spec) { s.NetNS = "/proc/self/ns/uts" }, errdefs.IsInvalidArgument, `join network namespace`},
		{"stdin", func(s *Spec) { s.Stdio[0].Path = "/does/not/exist" }, errdefs.IsNotFound, `open stdin "/does/not/exist"`},
		{"mount", func(s *Spec) { s.Mounts = []Mount{{Source: "/does/not/exist", Target: "/x"}} }, errdefs.IsNotFound, `open_tree "/does/not/exist"`},
		{"NUL", func(s *Spec) { s.Args = []string{"a\x00b"} }, errdefs.IsInvalidArgument, "NUL byte"},
		{"no stack", func(s *Spec) { s.StackSize = 0 }, errdefs.IsInvalidArgument, "a stack"},
		{"huge stack", func(s *Spec) { s.StackSize = 1 << 60 }, errdefs.IsResourceExhausted, "no thread"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := spec(t, "hello")
			tc.set(s)
			_, err := New(t.Context(), s)
			if err == nil || !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestParkedThreadHoldsNamespaces(t *testing.T) {
	spec(t, "hello") // for its privilege check
	g := create(t, &Spec{
		NewNetNS: true,
		NewIPC:   true,
		NewUTS:   true,
		Hostname: "parked",
		Sysctls:  []Sysctl{{"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"}},
	})
	for _, ns := range []string{"net", "ipc", "uts"} {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", g.TID(), ns))
		if err != nil {
			t.Fatal(err)
		}
		if daemon, err := os.Readlink("/proc/self/ns/" + ns); err != nil || own == daemon {
			t.Fatalf("%s namespace is the process's own, %s, or: %v", ns, own, err)
		}
	}
	if out, err := exec.Command("nsenter", fmt.Sprintf("--uts=/proc/%d/ns/uts", g.TID()), "hostname").Output(); err != nil || string(out) != "parked\n" {
		t.Fatalf("hostname is %q, %v", out, err)
	}
	g.Kill()
	<-g.Done()
}

//go:noinline
func nilDereference() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	var p *int
	*p = 1 //nolint:govet // the fault is the point
	return nil
}

// TestHammer mixes what each hazard of fault.c is about: kills, traps and
// overflows of guests, Go panics from faults, garbage collection.
func TestHammer(t *testing.T) {
	names := []string{"hello", "spin", "poll", "recurse", "recurse_host", "trap", "divide", "bounds", "spin_start"}
	specs := map[string]*Spec{}
	for _, name := range names {
		specs[name] = spec(t, name)
	}
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				if nilDereference() == nil {
					t.Error("a nil dereference was not recovered")
					return
				}
			}
		}
	})
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := range 150 {
				g, err := New(t.Context(), specs[names[(i*7+w)%len(names)]])
				if err != nil {
					t.Error(err)
					return
				}
				time.AfterFunc(time.Duration(1+i%5)*time.Millisecond, g.Kill)
				if err := g.Start(); err != nil && !errors.Is(err, errdefs.ErrAborted) {
					t.Error(err)
				}
				<-g.Done()
			}
		})
	}
	workers.Wait()
	close(stop)
	noise.Wait()
}

// Who has given up waiting for a guest's isolation is told so.
func TestContextEndsDuringIsolation(t *testing.T) {
	s := spec(t, "hello")
	s.Cgroup = filepath.Join(t.TempDir(), "fifo") // which nobody reads
	if err := unix.Mkfifo(s.Cgroup, 0o600); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	over, end := context.WithCancel(t.Context())
	end()
	for want, ctx := range map[error]context.Context{context.DeadlineExceeded: soon, context.Canceled: over} {
		if _, err := New(ctx, s); !errors.Is(err, want) || !strings.Contains(err.Error(), "isolating the guest") {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
