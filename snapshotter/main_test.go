// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
)

// TestMain fails the run if it leaves descriptors or goroutines behind, and is
// the process that dies in the crash tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if op := os.Getenv(crashOperation); op != "" {
		crash(op)
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // with goroutines of its own
	if err := settled(goroutines, files); err != nil && code == 0 && !fuzzing {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// settled waits for goroutines which are about to end.
func settled(goroutines int, files []string) error {
	var err error
	for range 100 {
		var leaked []string
		for _, f := range openFiles() {
			if !slices.Contains(files, f) {
				leaked = append(leaked, f)
			}
		}
		n := runtime.NumGoroutine()
		if n <= goroutines && len(leaked) == 0 {
			return nil
		}
		err = fmt.Errorf("leaked: %d goroutines, files %q", n-goroutines, leaked)
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// openFiles lists what the process has open, but for what the Go runtime keeps.
func openFiles() []string {
	var targets []string
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err == nil && !slices.Contains([]string{"anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[pidfd]"}, target) {
			targets = append(targets, target)
		}
	}
	return targets
}

// open opens a snapshotter in root until the test ends.
func open(t testing.TB, root string) *snapshotter {
	t.Helper()
	s, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*snapshotter)
}

// prepare returns the directory of a new active snapshot.
func prepare(t testing.TB, s *snapshotter, key, parent string, opts ...snapshots.Opt) string {
	t.Helper()
	mounts, err := s.Prepare(t.Context(), key, parent, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return mounts[0].Source
}

// image commits a snapshot whose tree fill makes, and returns its directory.
func image(t testing.TB, s *snapshotter, name string, fill func(dir string)) string {
	t.Helper()
	dir := prepare(t, s, name+"-unpack", "")
	fill(dir)
	if err := s.Commit(t.Context(), name, name+"-unpack"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// remove removes a snapshot and deletes its tree.
func remove(t testing.TB, s *snapshotter, key string) {
	t.Helper()
	must(t, s.Remove(t.Context(), key))
	must(t, s.Cleanup(t.Context()))
}

// write makes a file with that mode, whatever the umask.
func write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
	must(t, os.Chmod(path, mode))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkConsistent fails unless each record has its tree, and nothing else is
// among the trees.
func checkConsistent(t testing.TB, s *snapshotter) {
	t.Helper()
	owners, err := s.treeOwners(context.Background())
	must(t, err)
	entries, err := os.ReadDir(s.path(""))
	must(t, err)
	for _, e := range entries {
		if owners[e.Name()] == "" {
			t.Errorf("%q belongs to no snapshot", e.Name())
		}
		delete(owners, e.Name())
	}
	for id, key := range owners {
		t.Errorf("snapshot %q has no tree %q", key, id)
	}
}

func checkClass(t testing.TB, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got error %v, want one of class %q", err, class)
	}
}
