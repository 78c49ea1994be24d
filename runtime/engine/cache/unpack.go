// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/snapshotter"
)

// subscriber is the daemon's exchange of events.
type subscriber interface {
	Subscribe(ctx context.Context, filters ...string) (<-chan *events.Envelope, <-chan error)
}

// maxModules is how many modules of a snapshot are compiled before somebody wants
// to run them: an image has one, or a few. Others are compiled when they start.
const maxModules = 16

// follow compiles what is in snapshots when they are committed, which is when a
// layer was unpacked or a build step has ended.
func (s *Store) follow(all <-chan *events.Envelope, errs <-chan error) {
	for {
		select {
		case e := <-all:
			event, err := typeurl.UnmarshalAny(e.Event)
			if err != nil {
				log.G(s.ctx).WithError(err).WithField("topic", e.Topic).Warn("reading an event")
				continue
			}
			switch event := event.(type) {
			case *eventstypes.SnapshotCommit:
				if event.GetSnapshotter() == s.name {
					s.unpacked(snapshot{e.Namespace, event.GetName()})
				}
			case *eventstypes.SnapshotRemove:
				s.removed(snapshot{e.Namespace, event.GetKey()})
			}
		case err := <-errs:
			if err != nil && s.ctx.Err() == nil {
				log.G(s.ctx).WithError(err).Error("images are not compiled when they are unpacked")
			}
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// removed looks for what has gone with a snapshot, soon.
func (s *Store) removed(sn snapshot) {
	const soon = time.Second
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.owners[sn] {
		return
	}
	delete(s.owners, sn)
	if !s.pruning {
		s.pruning = true
		time.AfterFunc(soon, func() {
			if s.ctx.Err() == nil {
				s.prune()
			}
		})
	}
}

// catchUp compiles what an earlier daemon had no time for, or another engine or CPU
// has compiled.
func (s *Store) catchUp() {
	if s.snapshots == nil {
		return
	}
	names, err := s.allNamespaces()
	if err != nil {
		log.G(s.ctx).WithError(err).Error("looking for images to compile")
		return
	}
	for _, name := range names {
		var todo []snapshot
		err := s.snapshots.Walk(s.in(name), func(_ context.Context, info snapshots.Info) error {
			switch {
			case info.Kind != snapshots.KindCommitted:
			case info.Labels[labelBuild] != s.build:
				todo = append(todo, snapshot{name, info.Name})
			default:
				s.mu.Lock()
				s.owners[snapshot{name, info.Name}] = true
				s.mu.Unlock()
			}
			return nil
		})
		if err != nil {
			log.G(s.ctx).WithError(err).WithField("namespace", name).Error("looking for images to compile")
		}
		for _, sn := range todo {
			s.unpacked(sn)
		}
	}
}

// unpacked compiles the modules of a committed snapshot in the background.
func (s *Store) unpacked(sn snapshot) {
	s.work.Go(func() {
		select {
		case s.unpacks <- struct{}{}:
			defer func() { <-s.unpacks }()
		case <-s.ctx.Done():
			return
		}
		ctx := s.in(sn.namespace)
		compile := func(ctx context.Context, dir string) error { return s.compileTree(ctx, sn, dir) }
		err := s.inTree(ctx, sn.name, compile)
		if errdefs.IsNotFound(err) { // the snapshot, or code that was thought to be there
			err = s.inTree(ctx, sn.name, compile)
		}
		if err != nil && !errdefs.IsNotFound(err) && s.ctx.Err() == nil {
			log.G(ctx).WithError(err).WithField("snapshot", sn.name).Warn("compiling the modules of an image")
		}
	})
}

// compileTree compiles the modules in a snapshot's tree and has the snapshot refer
// to their code, unless one below it does. What cannot be compiled is an error of
// its start; the image is not at fault.
func (s *Store) compileTree(ctx context.Context, sn snapshot, dir string) error {
	complete := true
	err := walkModules(ctx, dir, maxModules, func(f *os.File) error {
		rec, err := s.files.Precompile(ctx, f)
		switch {
		case s.ctx.Err() != nil:
			return err
		case err != nil:
			complete = complete && !errdefs.IsUnavailable(err)
			log.G(ctx).WithError(err).WithField("snapshot", sn.name).Warn("a module in an image cannot be compiled")
			return nil
		}
		// At once, so that optimized code finds whom to replace this for.
		return s.labelModule(ctx, sn, rec)
	})
	if err != nil || !complete {
		return err
	}
	return s.setLabel(ctx, sn.name, labelBuild, s.build)
}

// labelModule has a snapshot refer to the code of a module in its tree.
func (s *Store) labelModule(ctx context.Context, sn snapshot, rec engine.Record) error {
	holder, value, err := s.holder(ctx, sn.name, rec.Module)
	if err == nil && (holder == "" || holder == sn.name) {
		err = s.labelSnapshot(ctx, sn.name, rec.Module, value)
	}
	if err == nil {
		s.release(sn.namespace, rec.Key)
	}
	return err
}

// inTree calls f with the directory of a committed snapshot, which stays as long:
// a view of it is leased, by f's context.
func (s *Store) inTree(ctx context.Context, name string, f func(ctx context.Context, dir string) error) error {
	return s.withLease(ctx, func(ctx context.Context) (err error) {
		view := "containerd-wasm-" + rand.Text()
		mounts, err := s.snapshots.View(ctx, view, name)
		if err != nil {
			return err
		}
		defer func() {
			namespace, _ := namespaces.Namespace(ctx)
			err = errors.Join(err, s.snapshots.Remove(namespaces.WithNamespace(context.Background(), namespace), view))
		}()
		if len(mounts) != 1 || mounts[0].Type != "bind" {
			return fmt.Errorf("snapshot %q is not a directory: %w", name, errdefs.ErrNotImplemented)
		}
		return f(ctx, mounts[0].Source)
	})
}

// hasModule says whether a module is among the first of a tree.
func (s *Store) hasModule(ctx context.Context, dir string, module digest.Digest) (found bool, err error) {
	err = walkModules(ctx, dir, maxModules, func(f *os.File) error {
		d, err := s.files.Digest(f)
		if found = err == nil && d == module; found {
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}

// maxNames bounds the search for modules in one tree, which may be of any size. What is
// behind is compiled at its first start.
const maxNames = 100_000

// walkModules calls f with the first modules in a committed tree, at most max.
func walkModules(ctx context.Context, dir string, max int, f func(*os.File) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	names := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		names++
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case max == 0 || names > maxNames:
			return fs.SkipAll
		case !isModule(root, name, d):
			return nil
		}
		file, err := root.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		max--
		return f(file)
	})
	return err
}

// isModule trusts in the mode that the snapshotter gives to modules, and opens
// nothing else.
func isModule(root *os.Root, name string, d fs.DirEntry) bool {
	info, err := d.Info()
	if err != nil || !snapshotter.MayBeSealed(info) {
		return false
	}
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(snapshotter.ModuleMagic))
	_, err = f.ReadAt(head, 0)
	return err == nil && string(head) == snapshotter.ModuleMagic
}
