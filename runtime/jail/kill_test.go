// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/second-state/WasmEdge-go/wasmedge"
	"golang.org/x/sys/unix"
)

// kills are the places in which a guest may be when it has to end: a module of
// testdata each, and its argument.
var kills = []string{
	// loops
	"spin", "spin_start", "fibonacci", "dispatch", "grow_long", "clock", "list", "copy",
	"recurse", "recurse_host", // end by themselves, too
	// calls that block
	"poll", "poll_fd", "read", "write", "random_long",
	"socket accept", "socket connect", "socket recv", "socket send",
}

// killSpec is a work order for one of kills.
func killSpec(tb testing.TB, kill string) *Spec {
	tb.Helper()
	words := strings.Fields(kill)
	s := spec(tb, words[0])
	s.Args = words
	s.NewNetNS = false // there, loopback is down
	s.MemoryLimit = 3 << 30
	blocked(tb, s)
	return s
}

// endsByItself says whether a guest may be over before it is killed.
func endsByItself(kill string) bool { return strings.HasPrefix(kill, "recurse") }

// blocked gives the guest an input that never comes and an output that nobody
// reads.
func blocked(tb testing.TB, s *Spec) {
	for i, name := range []string{"stdin", "stdout"} {
		path := filepath.Join(tb.TempDir(), name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			tb.Fatal(err)
		}
		s.Stdio[i] = File{Path: path, Flags: unix.O_RDWR}
	}
}

func TestKillEndsTheGuest(t *testing.T) {
	for _, kill := range kills {
		t.Run(kill, func(t *testing.T) {
			var all []*Guest
			endPromptly(t, func() *Guest {
				g := started(t, killSpec(t, kill))
				all = append(all, g)
				time.Sleep(20 * time.Millisecond)
				if over(g) && !endsByItself(kill) {
					t.Fatalf("ended by itself: %+v", g.Result())
				}
				return g
			})
			for _, g := range all {
				if got := g.Result().Ending; got != Killed && !endsByItself(kill) {
					t.Fatalf("ended as %d", got)
				}
			}
		})
	}
}

func TestKillBeforeStart(t *testing.T) {
	g := create(t, spec(t, "spin"))
	g.Kill()
	<-g.Done()
	if got := g.Result().Ending; got != Killed {
		t.Fatalf("ended as %d", got)
	}
	if err := g.Start(); err != nil {
		t.Fatalf("starting a guest that is over: %v", err)
	}
}

func TestKillAtAnyMoment(t *testing.T) {
	for delay := time.Duration(0); delay < 2*time.Millisecond; delay += 20 * time.Microsecond {
		for _, module := range []string{"hello", "spin", "poll"} {
			g := create(t, spec(t, module))
			go func() {
				time.Sleep(delay)
				g.Kill()
			}()
			if err := g.Start(); err != nil && !errors.Is(err, errdefs.ErrAborted) {
				t.Fatal(err)
			}
			<-g.Done()
		}
	}
}

// A module's code is new to the unwinder, and the guest is in the middle of malloc
// (return.c).
func TestKillWhileTheEngineAllocates(t *testing.T) {
	s := spec(t, "allocate")
	for range 300 {
		module, err := load(compiled(modulesDir, "allocate.wat"))
		if err != nil {
			t.Fatal(err)
		}
		s.Module = module
		g := create(t, s)
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		g.Kill()
		select {
		case <-g.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the guest is still there")
		}
		module.Release()
	}
}

// A host call that the kill has to end halfway had allocated megabytes.
func TestKillLosesNoMemory(t *testing.T) {
	// libc keeps some of what was given back, in each of its arenas.
	const warmUp, most = 32, 32 << 20
	var before int64
	for i := range 2 * warmUp {
		if i == warmUp {
			before = resident(t)
		}
		g := started(t, spec(t, "poll_many"))
		time.Sleep(time.Duration(5+i%warmUp) * time.Millisecond)
		g.Kill()
		<-g.Done()
	}
	if grown := resident(t) - before; grown > most {
		t.Errorf("the process has %d MiB more", grown>>20)
	}
}

// resident is the memory of the process, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	var size, pages int64
	if _, err := fmt.Sscan(content(t, "/proc/self/statm"), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestKillDuringInstantiation: what a module begins with is copied meanwhile.
func TestKillDuringInstantiation(t *testing.T) {
	s := spec(t, "hello")
	s.Module = slowToInstantiate(t)
	for delay := time.Duration(0); delay < 5*time.Millisecond; delay += 500 * time.Microsecond {
		g := create(t, s)
		time.Sleep(delay)
		g.Kill()
		select {
		case <-g.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the guest is still there")
		}
		if got := g.Result().Ending; got != Killed {
			t.Fatalf("ended as %d", got)
		}
	}
}

// slowToInstantiate is a module with 4 MiB of data.
func slowToInstantiate(tb testing.TB) *wasmedge.AST {
	tb.Helper()
	const size = 4 << 20
	var data bytes.Buffer
	data.WriteString("\x01\x00\x41\x00\x0b") // one segment, for memory at 0
	data.Write(binary.AppendUvarint(nil, size))
	data.Write(bytes.Repeat([]byte{1}, size))
	wasm := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // type: func, no parameters, no results
		"\x03\x02\x01\x00" + // one function of that type
		"\x05\x04\x01\x00\x80\x04" + // memory of 512 pages
		"\x07\x0a\x01\x06_start\x00\x00" +
		"\x0a\x04\x01\x02\x00\x0b\x0b") // empty; data follows
	wasm = binary.AppendUvarint(wasm, uint64(data.Len()))
	wasm = append(wasm, data.Bytes()...)
	path := filepath.Join(tb.TempDir(), "slow.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		tb.Fatal(err)
	}
	ast, err := loadFile(tb.TempDir(), path)
	if err != nil {
		tb.Fatal(err)
	}
	return ast
}

// What is to be reached: the 99th percentile from Kill to Done.
const (
	killTarget    = 20 * time.Millisecond
	crowdedTarget = 100 * time.Millisecond // with 200 guests that spin
)

// untilBlocked is how long a guest takes to get where it blocks.
const untilBlocked = 2 * time.Millisecond

// BenchmarkKill is the time from Kill to Done: in each of kills, before the start,
// during instantiation, while held, and among many others that spin.
func BenchmarkKill(b *testing.B) {
	for _, kill := range kills {
		b.Run(kill, func(b *testing.B) {
			s := killSpec(b, kill)
			benchmarkKill(b, killTarget, func() *Guest {
				g := begin(b, s)
				time.Sleep(untilBlocked)
				return g
			})
		})
	}
	b.Run("getaddrinfo", func(b *testing.B) {
		spec(b, "hello") // for its privilege check
		n := newNetwork(b)
		n.silentServer(b)
		s := lookupSpec(b, n, map[string]string{"resolv.conf": patientClient}, "web", "80")
		benchmarkKill(b, killTarget, func() *Guest {
			g := begin(b, s)
			time.Sleep(untilBlocked)
			return g
		})
	})
	b.Run("before start", func(b *testing.B) {
		s := spec(b, "spin")
		benchmarkKill(b, killTarget, func() *Guest { return isolated(b, s) })
	})
	b.Run("instantiating", func(b *testing.B) {
		s := spec(b, "hello")
		s.Module = slowToInstantiate(b)
		benchmarkKill(b, killTarget, func() *Guest { return isolated(b, s) })
	})
	b.Run("paused", func(b *testing.B) {
		s := spec(b, "spin")
		benchmarkKill(b, killTarget, func() *Guest {
			g := begin(b, s)
			if err := g.Pause(b.Context()); err != nil {
				b.Fatal(err)
			}
			return g
		})
	})
	b.Run("among 200 that spin", func(b *testing.B) {
		s := spec(b, "spin")
		for range 200 {
			g := begin(b, s)
			defer func() {
				g.Kill()
				<-g.Done()
			}()
		}
		benchmarkKill(b, crowdedTarget, func() *Guest {
			g := begin(b, s)
			time.Sleep(untilBlocked)
			return g
		})
	})
}

// benchmarkKill kills the guests that next returns, one at a time.
func benchmarkKill(b *testing.B, target time.Duration, next func() *Guest) {
	b.Helper()
	var times []time.Duration
	for b.Loop() {
		g := next()
		begin := time.Now()
		g.Kill()
		<-g.Done()
		times = append(times, time.Since(begin))
	}
	report(b, "kill", times)
	b.ReportMetric(float64(target)/float64(time.Microsecond), "target-p99-us")
}

func isolated(b *testing.B, s *Spec) *Guest {
	b.Helper()
	g, err := New(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	return g
}
