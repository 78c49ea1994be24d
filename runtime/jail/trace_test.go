// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/second-state/WasmEdge-go/wasmedge"
	"golang.org/x/sys/unix"
)

// stderr sends what the guest's log gets to a file whose content it returns.
func stderr(tb testing.TB, s *Spec) func() string {
	path := filepath.Join(tb.TempDir(), "stderr")
	s.Stdio[2] = File{Path: path, Flags: outputFlags}
	return func() string { return content(tb, path) }
}

// What the functions are is tested where names are known (package engine).
func TestTraceOfTraps(t *testing.T) {
	for module, c := range map[string]struct {
		reason          string
		least, most     int
		more, described bool
	}{
		"trap":         {"unreachable", 1, 3, false, true},
		"divide":       {"integer divide by zero", 1, 3, false, true},
		"bounds":       {"out of bounds memory access", 1, 3, false, true},
		"recurse":      {"call stack exhausted", 32, 32, true, true},
		"recurse_host": {"call stack exhausted", 32, 32, true, true},
		"poll_wrap":    {"the engine could not carry out a host call", 1, 3, false, true},
		"assert":       {"the engine could not carry out a host call", 1, 3, false, true},
		"subscribe":    {"the engine could not carry out a host call", 1, 3, false, true},
		"exit":         {},
		"hello":        {},
	} {
		t.Run(module, func(t *testing.T) {
			s := spec(t, module)
			log := stderr(t, s)
			var got []Trace
			s.Describe = func(t Trace) string {
				got = append(got, t)
				return "  at a function\n"
			}
			runGuest(t, s)
			if !c.described {
				if len(got) != 0 || log() != "" {
					t.Errorf("traced %v, log %q", got, log())
				}
				return
			}
			if len(got) != 1 || len(got[0].Frames) < c.least || len(got[0].Frames) > c.most || got[0].More > 0 != c.more || got[0].Cut != c.more {
				t.Errorf("traced %+v", got)
			}
			if want := "WebAssembly trap: " + c.reason + "\n  at a function\n"; log() != want {
				t.Errorf("log %q, want %q", log(), want)
			}
		})
	}
}

// The walk needs some stack itself, which may have to be opened for that.
func TestTraceAtAnyDepth(t *testing.T) {
	for size := 300; size < 900; size += 2 {
		s := spec(t, "deep")
		s.Args = []string{strings.Repeat("x", size)}
		frames := 0
		s.Describe = func(t Trace) string { frames = len(t.Frames) + t.More; return "" }
		if r := runGuest(t, s); r.Message != "unreachable" {
			t.Fatalf("%+v", r)
		}
		if frames < 4000 {
			t.Errorf("%d frames at a depth of %d", frames, 16*(size+1))
		}
	}
}

func TestDescriptionIsBounded(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"a\x00b\n":                             "ab\n",
		strings.Repeat("x", 100_000):           strings.Repeat("x", MaxDescription),
		strings.Repeat("x", 1399) + "\u00e9\n": strings.Repeat("x", 1399),
	} {
		s := spec(t, "trap")
		s.Describe = func(Trace) string { return text }
		log := stderr(t, s)
		runGuest(t, s)
		if got := log(); got != "WebAssembly trap: unreachable\n"+want {
			t.Errorf("%d bytes %.100q", len(got), got)
		}
	}
}

// A guest that waits for what to write about its trap can be killed, and what comes later
// finds nobody.
func TestKillOfAGuestThatHasTrapped(t *testing.T) {
	for range 20 {
		s := spec(t, "trap")
		asked, answer, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s.Describe = func(Trace) string {
			defer close(answered)
			close(asked)
			<-answer
			return "late\n"
		}
		log := stderr(t, s)
		g := create(t, s)
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		<-asked
		if over(g) {
			t.Fatal("the guest did not wait")
		}
		g.Kill()
		<-g.Done()
		close(answer)
		<-answered
		if r := g.Result(); r.Ending != Trapped || strings.Contains(log(), "late") {
			t.Errorf("%+v, log %q", r, log())
		}
	}
}

// Kills come at any moment of a trap, and of its walk.
func TestKillWhileTheGuestTraps(t *testing.T) {
	var traced atomic.Int32
	for i := range 300 {
		s := spec(t, []string{"recurse", "recurse_host", "bounds"}[i%3])
		s.Describe = func(Trace) string { traced.Add(1); return "" }
		g := create(t, s)
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i*7%100) * 20 * time.Microsecond)
		g.Kill()
		<-g.Done()
		if r := g.Result(); r.Ending != Killed && r.Ending != Trapped && r.Ending != Overflowed {
			t.Fatalf("%+v", r)
		}
	}
	t.Logf("%d of 300 were traced", traced.Load())
}

// The engine gives back a module's code, and its place in the list of all is free then:
// a module at an address where none has been before needs one.
func TestTraceAfterManyModules(t *testing.T) {
	s := spec(t, "trap")
	const places = 8192 // MAX_CODES
	again := func() *wasmedge.AST {
		ast, err := load(compiled(modulesDir, "trap.wat"))
		if err != nil {
			t.Fatal(err)
		}
		return ast
	}
	for range places {
		again().Release()
	}
	frames := 0
	s.Describe = func(t Trace) string { frames = len(t.Frames); return "" }
	for range 10 {
		s.Module = again()
		defer s.Module.Release()
		frames = 0
		runGuest(t, s)
		if frames == 0 {
			t.Fatal("the code of a later module is not known")
		}
	}
}

func TestTerminationMessage(t *testing.T) {
	const place, reason = "/dev/termination-log", "WebAssembly trap: unreachable\n  at f\n"
	file := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	fifo := func(path string) error { return unix.Mkfifo(path, 0o600) }
	for name, c := range map[string]struct {
		module string
		make   func(path string) error
		mode   os.FileMode
		want   string // what is in the file then
	}{
		"empty file":    {"trap", file(""), 0o666, reason},
		"own message":   {"trap", file("mine"), 0o666, "mine"},
		"exit":          {"exit", file(""), 0o666, ""},
		"not writable":  {"trap", file(""), 0o600, ""},
		"nobody reads":  {"trap", fifo, 0o666, ""},
		"nothing there": {"trap", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, c.module)
			s.Describe = func(Trace) string { return "  at f\n" }
			s.Termination = place
			file := filepath.Join(t.TempDir(), "message")
			if c.make != nil {
				for _, err := range []error{c.make(file), os.Chmod(file, c.mode)} {
					if err != nil {
						t.Fatal(err)
					}
				}
				s.Mounts = []Mount{{Source: file, Target: place}}
			}
			runGuest(t, s)
			info, err := os.Lstat(file)
			if c.make == nil {
				if err == nil {
					t.Error("a file was made")
				}
				if _, err := os.Lstat(filepath.Join(s.Rootfs, place)); err == nil {
					t.Error("a file was made in the root")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().IsRegular() && content(t, file) != c.want {
				t.Errorf("got %q, want %q", content(t, file), c.want)
			}
		})
	}
}

// A guest may put something else where its message is to go.
func TestTerminationMessageFollowsNoLink(t *testing.T) {
	s := spec(t, "trap")
	s.Termination = "/message"
	target := filepath.Join(s.Rootfs, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(target, 0o666), os.Symlink("/target", filepath.Join(s.Rootfs, "message"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	runGuest(t, s)
	if got := content(t, target); got != "" {
		t.Errorf("through a link: %q", got)
	}
}

// BenchmarkTrap is what a trap costs beside an exit: the walk, and the wait for the text.
func BenchmarkTrap(b *testing.B) {
	for _, module := range []string{"exit", "trap", "recurse"} {
		b.Run(module, func(b *testing.B) {
			s := spec(b, module)
			s.Describe = func(Trace) string { return "  at a function\n" }
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				runOnce(b, s)
				took = append(took, time.Since(begin))
			}
			report(b, fmt.Sprintf("%s-end", module), took)
		})
	}
}
