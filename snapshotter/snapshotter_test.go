// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

func TestErrorsHaveAClassAndNameTheSnapshot(t *testing.T) {
	for _, tc := range []struct {
		desc  string
		do    func(context.Context, snapshots.Snapshotter) error
		class error
		names string
	}{
		{"stat of an unknown key", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Stat(ctx, "no such")
			return err
		}, errdefs.ErrNotFound, `"no such"`},
		{"update of an unknown key", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Update(ctx, snapshots.Info{Name: "no such"})
			return err
		}, errdefs.ErrNotFound, `"no such"`},
		{"update of a field that is fixed", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Update(ctx, snapshots.Info{Name: "image"}, "parent")
			return err
		}, errdefs.ErrInvalidArgument, `"image"`},
		{"usage of an unknown key", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Usage(ctx, "no such")
			return err
		}, errdefs.ErrNotFound, `"no such"`},
		{"mounts of a committed snapshot", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Mounts(ctx, "image")
			return err
		}, errdefs.ErrFailedPrecondition, `"image"`},
		{"prepare with an empty key", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Prepare(ctx, "", "image")
			return err
		}, errdefs.ErrInvalidArgument, `"image"`},
		{"prepare with a key in use", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Prepare(ctx, "active", "image")
			return err
		}, errdefs.ErrAlreadyExists, `"active"`},
		{"prepare of an unknown parent", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.Prepare(ctx, "new", "no such")
			return err
		}, errdefs.ErrNotFound, `"no such"`},
		{"view of an active parent", func(ctx context.Context, s snapshots.Snapshotter) error {
			_, err := s.View(ctx, "new", "active")
			return err
		}, errdefs.ErrInvalidArgument, `"active"`},
		{"commit of an unknown key", func(ctx context.Context, s snapshots.Snapshotter) error {
			return s.Commit(ctx, "new", "no such")
		}, errdefs.ErrNotFound, `"no such"`},
		{"commit of a view", func(ctx context.Context, s snapshots.Snapshotter) error {
			return s.Commit(ctx, "new", "view")
		}, errdefs.ErrFailedPrecondition, `"view"`},
		{"commit to a name in use", func(ctx context.Context, s snapshots.Snapshotter) error {
			return s.Commit(ctx, "image", "active")
		}, errdefs.ErrAlreadyExists, `"image"`},
		{"commit onto a parent", func(ctx context.Context, s snapshots.Snapshotter) error {
			return s.Commit(ctx, "new", "orphan", snapshots.WithParent("image"))
		}, errdefs.ErrNotImplemented, `"orphan"`},
		{"remove of an unknown key", func(ctx context.Context, s snapshots.Snapshotter) error {
			return s.Remove(ctx, "no such")
		}, errdefs.ErrNotFound, `"no such"`},
		{"remove of a parent", func(ctx context.Context, s snapshots.Snapshotter) error {
			return s.Remove(ctx, "image")
		}, errdefs.ErrFailedPrecondition, `"image"`},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			s := open(t, t.TempDir())
			image(t, s, "image", func(string) {})
			prepare(t, s, "active", "image")
			prepare(t, s, "orphan", "")
			_, err := s.View(t.Context(), "view", "image")
			must(t, err)
			err = tc.do(t.Context(), s)
			checkClass(t, err, tc.class)
			if err != nil && !strings.Contains(err.Error(), tc.names) {
				t.Errorf("error %q does not name %s", err, tc.names)
			}
			checkConsistent(t, s)
		})
	}
}

// An image as a volume is not copied, and not to be written to.
func TestImageVolumeIsAView(t *testing.T) {
	s := open(t, t.TempDir())
	committed := image(t, s, "image", func(dir string) { write(t, filepath.Join(dir, "file"), "text", 0o644) })
	const key = "k8s.io/7//run/containerd/io.containerd.grpc.v1.cri/image-volumes/pod/digest"
	mounts, err := s.Prepare(t.Context(), key, "image")
	must(t, err)
	want := []mount.Mount{{Type: "bind", Source: committed, Options: []string{"rbind", "ro"}}}
	if again, err := s.Mounts(t.Context(), key); err != nil || !reflect.DeepEqual(mounts, want) || !reflect.DeepEqual(again, want) {
		t.Errorf("mounts %v and %v, %v, want %v", mounts, again, err, want)
	}
	checkClass(t, s.Remove(t.Context(), "image"), errdefs.ErrFailedPrecondition)
	_, err = s.Prepare(t.Context(), key, "image")
	checkClass(t, err, errdefs.ErrAlreadyExists)
	must(t, s.Remove(t.Context(), key))
	remove(t, s, "image")
	checkConsistent(t, s)
}

func TestMountsAreOneBindMount(t *testing.T) {
	s := open(t, t.TempDir())
	committed := image(t, s, "image", func(string) {})
	active := prepare(t, s, "active", "image")
	view, err := s.View(t.Context(), "view", "image")
	must(t, err)
	empty, err := s.View(t.Context(), "empty", "")
	must(t, err)
	for key, want := range map[string]mount.Mount{
		"active": {Type: "bind", Source: active, Options: []string{"rbind", "rw"}},
		"view":   {Type: "bind", Source: committed, Options: []string{"rbind", "ro"}},
		"empty":  {Type: "bind", Source: empty[0].Source, Options: []string{"rbind", "ro"}},
	} {
		got, err := s.Mounts(t.Context(), key)
		if err != nil || !reflect.DeepEqual(got, []mount.Mount{want}) {
			t.Errorf("%s: got %v, %v, want %v", key, got, err, want)
		}
	}
	if !reflect.DeepEqual(view[0].Source, committed) {
		t.Errorf("the view is at %q, want %q", view[0].Source, committed)
	}
}

func TestAnEmptyStoreHasNothingToWalk(t *testing.T) {
	s := open(t, t.TempDir())
	must(t, s.Walk(t.Context(), func(context.Context, snapshots.Info) error { return errors.New("called") }))
}

func TestALayerCannotChangeTheModulesBelowIt(t *testing.T) {
	s := open(t, t.TempDir())
	committed := image(t, s, "base", func(dir string) { write(t, filepath.Join(dir, "m"), module, 0o644) })
	for _, active := range []string{
		prepare(t, s, "of CRI", "base", snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: "sha256:abc"})),
		prepare(t, s, "k8s.io/7/extract-1234-abc_ sha256:abc", "base"), // of the client library
	} {
		must(t, os.Chmod(filepath.Join(active, "m"), 0o777))
		if m := lstat(t, filepath.Join(committed, "m")).Mode(); m != moduleMode {
			t.Errorf("the module in the base got mode %v", m)
		}
	}
}

func TestCommitSealsAModuleWhoseModeWasChanged(t *testing.T) {
	s := open(t, t.TempDir())
	image(t, s, "base", func(dir string) { write(t, filepath.Join(dir, "m"), module, 0o644) })
	active := prepare(t, s, "active", "base")
	must(t, os.Chmod(filepath.Join(active, "m"), 0o777))
	must(t, s.Commit(t.Context(), "next", "active"))
	if m := lstat(t, filepath.Join(active, "m")).Mode(); m != moduleMode {
		t.Errorf("the module got mode %v", m)
	}
}

func TestCancelledCallsLeaveNothingBehind(t *testing.T) {
	s := open(t, t.TempDir())
	image(t, s, "image", func(dir string) { write(t, filepath.Join(dir, "f"), "x", 0o644) })
	prepare(t, s, "active", "image")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Prepare(ctx, "new", "image")
	checkClass(t, err, context.Canceled)
	_, err = s.Usage(ctx, "active")
	checkClass(t, err, context.Canceled)
	checkClass(t, s.Commit(ctx, "committed", "active"), context.Canceled)
	checkConsistent(t, s)
}

func TestSnapshotsCanBeMadeAndRemovedAtTheSameTime(t *testing.T) {
	s := open(t, t.TempDir())
	committed := image(t, s, "image", func(dir string) {
		for i := range 10 {
			write(t, filepath.Join(dir, fmt.Sprint("f", i)), "content", 0o644)
		}
		write(t, filepath.Join(dir, "m"), module, 0o644)
	})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 10 {
				key := fmt.Sprint(worker, "-", i)
				mounts, err := s.Prepare(t.Context(), key, "image")
				if err != nil {
					t.Error(err)
					return
				}
				if entries, err := os.ReadDir(mounts[0].Source); err != nil || len(entries) != 11 {
					t.Errorf("%d files, %v", len(entries), err)
				}
				_, same := s.Prepare(t.Context(), "contended", "image")
				if same != nil && !errdefs.IsAlreadyExists(same) {
					t.Error(same)
				}
				if same == nil {
					if err := s.Remove(t.Context(), "contended"); err != nil {
						t.Error(err)
					}
				}
				if err := errors.Join(s.Cleanup(t.Context()), s.Remove(t.Context(), key)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, s.Cleanup(t.Context()))
	checkConsistent(t, s)
	if entries, err := os.ReadDir(committed); err != nil || len(entries) != 11 {
		t.Errorf("the image has %d files, %v", len(entries), err)
	}
}
