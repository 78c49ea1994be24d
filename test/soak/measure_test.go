// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/soak/fault"
)

const (
	mib            = 1 << 20
	goroutinesName = "goroutines"
)

// keptByDetector is what Go's race detector keeps of each goroutine for ever, in bytes,
// in blocks of a MiB (https://go.dev/issue/37233). For a program that does nothing but
// start goroutines, it is 340.
const keptByDetector = 400

// quantity is something that the daemon has an amount of, and that may have grown by
// so much when everything is over.
type quantity struct {
	name     string
	unit     int64 // in which it is printed
	bound    int64
	detector int64  // how many bytes of the race detector's are 1 of it; 0: none
	why      string // the bound is not 0
	of       func(*daemon.Daemon, *snapshot) int64
}

// mayGrow is by how much, between two snapshots.
func (q *quantity) mayGrow(before, after *snapshot) int64 {
	if q.detector == 0 || !raced() {
		return q.bound
	}
	return q.bound + keptByDetector*after.goroutinesMade(before)/q.detector
}

var quantities = []quantity{
	{goroutinesName, 1, 8, 0, "gRPC's servers and timers of upstream's come and go", func(_ *daemon.Daemon, s *snapshot) int64 {
		return sum(s.goroutines)
	}},
	{"threads", 1, 16, 0, "Go keeps each thread that it needed once", func(d *daemon.Daemon, _ *snapshot) int64 { return entries(d, "task") }},
	{"file descriptors", 1, 4, 0, "connections of the test", func(d *daemon.Daemon, _ *snapshot) int64 { return entries(d, "fd") }},
	{"memory mappings", 1, 96, mib, "two for each thread's stack, two for each arena of malloc", func(d *daemon.Daemon, _ *snapshot) int64 { return mappings(d) }},
	{"groups for guests", 1, 64, 0, "so many are kept ready", func(d *daemon.Daemon, _ *snapshot) int64 { return groups(d) }},
	{"namespaces of threads", 1, 0, 0, "", func(d *daemon.Daemon, _ *snapshot) int64 { return namespacesOf(d) }},
	{"directories", 1, 0, 0, "", func(d *daemon.Daemon, _ *snapshot) int64 { return files(d, true) }},
	{"files", 1, 0, 0, "", func(d *daemon.Daemon, _ *snapshot) int64 { return files(d, false) }},
	{"heap of Go, MiB", mib, 4 * mib, 0, "caches of upstream's", func(_ *daemon.Daemon, s *snapshot) int64 { return int64(s.memory.Heap) }},
	{"all of Go's memory, MiB", mib, 32 * mib, 0, "its heap has holes", func(_ *daemon.Daemon, s *snapshot) int64 { return int64(s.memory.Mapped) }},
	{"malloc's blocks, MiB", mib, 2 * mib, 0, "threads keep some for their next", func(_ *daemon.Daemon, s *snapshot) int64 { return int64(s.memory.Malloc) }},
	{"resident memory, MiB", mib, 64 * mib, 1, "and so has malloc's", func(d *daemon.Daemon, _ *snapshot) int64 { return resident(d) }},
}

// snapshot is what a daemon has while it has nothing to do.
type snapshot struct {
	things     daemon.Resources // of which there must not be one more
	goroutines map[string]int   // by what they do
	memory     fault.Usage
	amounts    []int64 // of quantities
}

func take(t *testing.T, d *daemon.Daemon, conn grpc.ClientConnInterface) *snapshot {
	t.Helper()
	s := &snapshot{things: d.Resources(t)}
	text, err := fault.Call(t.Context(), conn, fault.Memory)
	if err == nil {
		err = json.Unmarshal([]byte(text), &s.memory)
	}
	if err == nil {
		s.goroutines, err = goroutines(t.Context(), d)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range quantities {
		s.amounts = append(s.amounts, q.of(d, s))
	}
	return s
}

// excess says of what there is too much compared to before, one line for each.
func (s *snapshot) excess(before *snapshot) []string {
	out := []string(s.things.Without(before.things))
	for i, q := range quantities {
		grown := s.amounts[i] - before.amounts[i]
		right := q.mayGrow(before, s)
		if grown <= right {
			continue
		}
		out = append(out, fmt.Sprintf("%s: %s more, at most %s are right", q.name, q.text(grown), q.text(right)))
		if q.name == goroutinesName {
			out = append(out, s.newGoroutines(before)...)
		}
	}
	return out
}

func (s *snapshot) goroutinesMade(before *snapshot) int64 {
	return int64(s.memory.Goroutines - before.memory.Goroutines)
}

// newGoroutines says where there are more goroutines.
func (s *snapshot) newGoroutines(before *snapshot) []string {
	var out []string
	for _, stack := range slices.Sorted(maps.Keys(s.goroutines)) {
		if grown := s.goroutines[stack] - before.goroutines[stack]; grown > 0 {
			out = append(out, fmt.Sprintf("%d more goroutines: %s", grown, stack))
		}
	}
	return out
}

// less says whether there is less than before of what must not grow at all.
func (s *snapshot) less(before *snapshot) bool {
	less := len(before.things.Without(s.things)) > 0
	for i, q := range quantities {
		less = less || q.bound == 0 && s.amounts[i] < before.amounts[i]
	}
	return less
}

// settle waits until the daemon has no more than before, as long as patience has it,
// and returns what it has then.
func settle(t *testing.T, d *daemon.Daemon, conn grpc.ClientConnInterface, before *snapshot) *snapshot {
	t.Helper()
	for deadline := time.Now().Add(daemon.LeakPatience); ; time.Sleep(200 * time.Millisecond) {
		s := take(t, d, conn)
		if len(s.excess(before)) == 0 || time.Now().After(deadline) {
			return s
		}
	}
}

func (s *snapshot) print(w io.Writer, before *snapshot) {
	fmt.Fprintln(w, "resource\tbefore\tafter\tmay grow by\tas\t")
	for i, q := range quantities {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", q.name, q.text(before.amounts[i]), q.text(s.amounts[i]), q.text(q.mayGrow(before, s)), q.why)
	}
	if raced() {
		fmt.Fprintf(w, "goroutines ever made\t%d\t%d\t\tof each, the race detector keeps %d bytes\t\n", before.memory.Goroutines, s.memory.Goroutines, keptByDetector)
	}
	fmt.Fprintf(w, "mounts, processes, guests, cgroups,\t%d\t%d\t0\t\t\n", len(before.things), len(s.things))
	fmt.Fprintf(w, "links, containers, snapshots, leases ...\t\t\t\t\t\n")
}

func (q *quantity) text(n int64) string {
	if q.unit == 1 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.1f", float64(n)/float64(q.unit))
}

func sum(counts map[string]int) (n int64) {
	for _, c := range counts {
		n += int64(c)
	}
	return n
}

// goroutines counts those of the daemon by where they were started and where they are.
func goroutines(ctx context.Context, d *daemon.Daemon) (map[string]int, error) {
	text, err := d.Goroutines(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for stack := range strings.SplitSeq(text, "\n\n") {
		out[outline(stack)]++
	}
	return out, nil
}

// outline leaves out the numbers of a stack.
func outline(stack string) string {
	var calls []string
	for line := range strings.Lines(stack) {
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "goroutine ") {
			continue
		}
		call, _, _ := strings.Cut(strings.TrimSpace(line), " in goroutine ")
		if i := strings.LastIndexByte(call, '('); i > 0 {
			call = call[:i]
		}
		calls = append(calls, call)
	}
	return strings.Join(calls, " < ")
}

func proc(d *daemon.Daemon, name string) string { return fmt.Sprintf("/proc/%d/%s", d.PID(), name) }

func entries(d *daemon.Daemon, name string) int64 {
	all, _ := os.ReadDir(proc(d, name)) // a dead daemon fails the test elsewhere
	return int64(len(all))
}

func mappings(d *daemon.Daemon) int64 {
	maps, _ := os.ReadFile(proc(d, "maps"))
	return int64(bytes.Count(maps, []byte("\n")))
}

// groups counts the cgroups that the daemon has made for guests, in use or not.
func groups(d *daemon.Daemon) (n int64) {
	all, _ := os.ReadDir(d.GuestCgroup()) // "": the machine has none
	for _, e := range all {
		if e.IsDir() {
			n++
		}
	}
	return n
}

func namespacesOf(d *daemon.Daemon) int64 {
	paths, _ := filepath.Glob(proc(d, "task/*/ns/*"))
	seen := map[string]bool{}
	for _, path := range paths {
		if target, err := os.Readlink(path); err == nil {
			seen[target] = true
		}
	}
	return int64(len(seen))
}

// files counts what is below the daemon's directories.
func files(d *daemon.Daemon, directories bool) (n int64) {
	for _, dir := range []string{d.Root, d.State} {
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() == directories {
				n++
			}
			return nil
		})
	}
	return n
}

func resident(d *daemon.Daemon) int64 {
	var size, pages int64
	statm, _ := os.ReadFile(proc(d, "statm"))
	_, _ = fmt.Sscan(string(statm), &size, &pages)
	return pages * int64(os.Getpagesize())
}
