// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// The environment of the process that dies.
const (
	crashOperation = "SNAPSHOTTER_TEST_CRASH_OPERATION"
	crashPoint     = "SNAPSHOTTER_TEST_CRASH_POINT"
	crashRoot      = "SNAPSHOTTER_TEST_CRASH_ROOT"
)

var crashOperations = map[string]func(context.Context, snapshots.Snapshotter) error{
	"prepare": func(ctx context.Context, s snapshots.Snapshotter) error {
		_, err := s.Prepare(ctx, "new", "image")
		return err
	},
	"commit": func(ctx context.Context, s snapshots.Snapshotter) error { return s.Commit(ctx, "new", "active") },
	"remove": func(ctx context.Context, s snapshots.Snapshotter) error {
		if err := s.Remove(ctx, "active"); err != nil {
			return err
		}
		return s.(snapshots.Cleaner).Cleanup(ctx)
	},
}

// crash runs the operation and is killed when it reaches the point.
func crash(op string) {
	atPoint = func(p point) {
		if string(p) == os.Getenv(crashPoint) {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {}
		}
	}
	s, err := New(os.Getenv(crashRoot))
	if err == nil {
		err = crashOperations[op](context.Background(), s)
	}
	fmt.Fprintln(os.Stderr, "did not reach the point:", err)
	os.Exit(3)
}

func TestACrashLeavesNothingBehind(t *testing.T) {
	for _, tc := range []struct {
		op   string
		at   point
		done bool // the operation counts as done after the crash
	}{
		{op: "prepare", at: pointCloned},
		{op: "prepare", at: pointPlaced},
		{op: "prepare", at: pointPrepared, done: true},
		{op: "commit", at: pointSealed},
		{op: "commit", at: pointCommitted},
		{op: "remove", at: pointRenamed},
		{op: "remove", at: pointForgotten, done: true},
		{op: "remove", at: pointUnlinked, done: true},
	} {
		t.Run(string(tc.at), func(t *testing.T) {
			root := t.TempDir()
			fillForCrash(t, root)
			runCrash(t, root, tc.op, tc.at)

			s := open(t, root)
			checkConsistent(t, s)
			checkComplete(t, s)
			err := crashOperations[tc.op](t.Context(), s)
			switch {
			case tc.done && !errdefs.IsAlreadyExists(err) && !errdefs.IsNotFound(err):
				t.Errorf("the operation was not done: the second time it returned %v", err)
			case !tc.done && err != nil:
				t.Errorf("the operation cannot be repeated: %v", err)
			}
			checkConsistent(t, s)
			checkComplete(t, s)
		})
	}
}

func fillForCrash(t *testing.T, root string) {
	t.Helper()
	s := open(t, root)
	fill := func(dir string) {
		for _, name := range []string{"a.wasm", "b", "c"} {
			write(t, filepath.Join(dir, name), module, 0o644)
		}
	}
	image(t, s, "image", fill)
	fill(prepare(t, s, "active", ""))
	must(t, s.Close())
}

func runCrash(t *testing.T, root, op string, at point) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashOperation+"="+op, crashPoint+"="+string(at), crashRoot+"="+root)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process was not killed: %v\n%s", err, out)
	}
}

// checkComplete fails unless the tree of each snapshot has all of its files.
func checkComplete(t *testing.T, s *snapshotter) {
	t.Helper()
	owners, err := s.treeOwners(t.Context())
	must(t, err)
	for id, key := range owners {
		entries, err := os.ReadDir(s.path(id))
		must(t, err)
		if len(entries) != 3 {
			t.Errorf("snapshot %q has %d files, want 3", key, len(entries))
		}
	}
}

func TestNewRemovesWhatIsUnknown(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	for _, name := range []string{"new-7", "rm-8", "rm-new-9", "10", "garbage"} {
		must(t, os.MkdirAll(s.path(filepath.Join(name, "a", "b")), 0o700))
	}
	write(t, s.path("file"), "", 0o600)
	prepare(t, s, "active", "")
	must(t, s.Close())
	s = open(t, root)
	checkConsistent(t, s)
	if _, err := s.Stat(t.Context(), "active"); err != nil {
		t.Error(err)
	}
}

func TestNewStartsWhenATreeIsMissing(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	image(t, s, "image", func(string) {})
	owners, err := s.treeOwners(t.Context())
	must(t, err)
	for id := range owners {
		must(t, os.Remove(s.path(id)))
	}
	must(t, s.Close())
	s = open(t, root)
	if _, err := s.Prepare(t.Context(), "active", "image"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	must(t, s.Remove(t.Context(), "image"))
	checkConsistent(t, s)
}
