// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// A use is a start whose module somebody has to refer to. It is the same one for
// all containers if it is that of a file in an image.
type use struct {
	namespace string
	container string // empty in what is remembered of an image's file
	file      engine.FileID
	module    digest.Digest
	key       engine.Key
}

// remembered is the use as a key of Store.owned.
func (u use) remembered() use {
	if u.file != (engine.FileID{}) {
		u.container, u.key = "", engine.Key{}
	}
	return u
}

// Use implements engine.Store.
func (s *Store) Use(ctx context.Context, container string, file engine.FileID, rec engine.Record) {
	namespace, ok := namespaces.Namespace(ctx)
	if !ok || container == "" {
		return
	}
	u := use{namespace, container, file, rec.Module, rec.Key}
	s.mu.Lock()
	owned := s.owned[u.remembered()]
	s.mu.Unlock()
	if owned {
		return
	}
	select {
	case s.uses <- u:
	default: // at worst the module is compiled again some day
		log.G(ctx).WithField("container", container).Warn("too many starts to see to their compiled code")
	}
}

// Image is the name of a container's image, or empty if it has none or is gone.
func (s *Store) Image(namespace, container string) string {
	c, err := s.containers.Get(s.in(namespace), container)
	if err != nil {
		return ""
	}
	return c.Image
}

// ownAll sees to uses, one after the other.
func (s *Store) ownAll() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case u := <-s.uses:
			s.mu.Lock()
			owned := s.owned[u.remembered()]
			s.mu.Unlock()
			if owned {
				continue
			}
			ctx := s.in(u.namespace)
			if err := s.own(ctx, u); err != nil && !errdefs.IsNotFound(err) {
				log.G(ctx).WithError(err).WithField("container", u.container).Warn("labelling what compiled code a container needs")
				continue
			}
			s.release(u.namespace, u.key)
		}
	}
}

// own has a snapshot or the container refer to the code of the module that it runs.
// ErrNotFound: the container, or the code, is gone.
func (s *Store) own(ctx context.Context, u use) error {
	c, err := s.containers.Get(ctx, u.container)
	if err != nil {
		return err
	}
	owned, err := s.ownedByImage(ctx, c, u.module)
	if err != nil {
		return err
	}
	if !owned {
		if err := s.labelContainer(ctx, c.ID, u.module, false); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.owned) >= maxOwned {
		clear(s.owned)
	}
	s.owned[u.remembered()] = true
	return nil
}

// ownedByImage says whether a snapshot of the container's image refers to the
// module's code, after it made it so if the module is in there.
func (s *Store) ownedByImage(ctx context.Context, c containers.Container, module digest.Digest) (bool, error) {
	if s.snapshots == nil || c.Snapshotter != s.name || c.SnapshotKey == "" {
		return false, nil
	}
	info, err := s.snapshots.Stat(ctx, c.SnapshotKey)
	if errdefs.IsNotFound(err) || err == nil && info.Parent == "" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	holder, value, err := s.holder(ctx, info.Parent, module)
	if err != nil {
		return false, err
	}
	if e, ok := s.best(module); ok && value == e.digest.String() {
		return true, nil
	}
	if holder != "" {
		return true, s.withLease(ctx, func(ctx context.Context) error {
			return s.labelSnapshot(ctx, holder, module, value)
		})
	}
	found := false
	err = s.inTree(ctx, info.Parent, func(ctx context.Context, dir string) error {
		if found, err = s.hasModule(ctx, dir, module); err != nil || !found {
			return err
		}
		return s.labelSnapshot(ctx, info.Parent, module, "")
	})
	return found, err
}

// holder finds the snapshot with a label for a module, from name downwards, and the
// label's value.
func (s *Store) holder(ctx context.Context, name string, module digest.Digest) (holder, value string, err error) {
	for name != "" {
		info, err := s.snapshots.Stat(ctx, name)
		if err != nil {
			return "", "", err
		}
		if value := info.Labels[refLabel(module)]; value != "" {
			return name, value, nil
		}
		name = info.Parent
	}
	return "", "", nil
}

// labelSnapshot has a snapshot refer to the best code of a module; value is that of
// its label now.
func (s *Store) labelSnapshot(ctx context.Context, name string, module digest.Digest, value string) error {
	s.labels.Lock()
	defer s.labels.Unlock()
	best, err := s.reach(ctx, module, value)
	if err != nil || best == value {
		return err
	}
	return s.setLabel(ctx, name, refLabel(module), best)
}

func (s *Store) setLabel(ctx context.Context, name, label, value string) error {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.owners[snapshot{namespace, name}] = true
	s.mu.Unlock()
	info := snapshots.Info{Name: name, Labels: map[string]string{label: value}}
	_, err = s.snapshots.Update(ctx, info, "labels."+label)
	return err
}

// maxRefs bounds the modules of a container: the one that it runs, and those of execs.
// A guest may put others in their place as often as it likes.
const maxRefs = 8

// labelContainer has a container refer to the best code of a module. If replace, it
// refers to some already, or nothing is done.
func (s *Store) labelContainer(ctx context.Context, id string, module digest.Digest, replace bool) error {
	s.labels.Lock()
	defer s.labels.Unlock()
	return s.withLease(ctx, func(ctx context.Context) error {
		ref := refLabel(module)
		c, err := s.containers.Get(ctx, id)
		if err != nil || replace && c.Labels[ref] == "" {
			return err
		}
		best, err := s.reach(ctx, module, c.Labels[ref])
		if err != nil || best == c.Labels[ref] {
			return err
		}
		labels, paths := map[string]string{ref: best}, []string{"labels." + ref}
		for label := range c.Labels {
			if strings.HasPrefix(label, labelRef) && label != ref {
				labels[label] = "" // removes it
				paths = append(paths, "labels."+label)
			}
		}
		if len(labels) <= maxRefs {
			labels, paths = map[string]string{ref: best}, paths[:1]
		}
		_, err = s.containers.Update(ctx, containers.Container{ID: c.ID, Labels: labels}, paths...)
		return err
	})
}

// reach returns the value for a label that refers to the best code of a module. If
// it is not the present one, the code is made visible in the context's namespace,
// and leased. ErrNotFound: there is none.
func (s *Store) reach(ctx context.Context, module digest.Digest, present string) (string, error) {
	e, ok := s.best(module)
	if !ok {
		return "", fmt.Errorf("code of module %s: %w", module, errdefs.ErrNotFound)
	}
	if value := e.digest.String(); value != present {
		return value, s.share(ctx, e)
	}
	return present, nil
}

// replace has all who refer to other code of the module, an earlier tier or what
// was damaged, refer to the best. Optimized code has no other owners, so it is then
// let go of.
func (s *Store) replace(rec engine.Record) {
	names, err := s.allNamespaces()
	errs := []error{err}
	for _, name := range names {
		errs = append(errs, s.replaceIn(s.in(name), rec.Module))
	}
	if err := errors.Join(errs...); err != nil {
		log.G(s.ctx).WithError(err).WithField("module", rec.Module).Warn("replacing compiled code")
		return
	}
	if rec.Tier == engine.Tier0 {
		return
	}
	e, _ := s.get(rec.Key)
	for _, name := range e.namespaces {
		s.release(name, rec.Key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, e := range s.index {
		if e.Module == rec.Module && e.Tier < rec.Tier {
			delete(s.index, k)
		}
	}
}

func (s *Store) replaceIn(ctx context.Context, module digest.Digest) error {
	filter := fmt.Sprintf("labels.%q", refLabel(module))
	all, err := s.containers.List(ctx, filter)
	errs := []error{err}
	for _, c := range all {
		errs = append(errs, s.labelContainer(ctx, c.ID, module, true))
	}
	if s.snapshots == nil {
		return errors.Join(errs...)
	}
	var found []snapshots.Info
	errs = append(errs, s.snapshots.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		found = append(found, info)
		return nil
	}, filter))
	for _, info := range found {
		errs = append(errs, s.withLease(ctx, func(ctx context.Context) error {
			return s.labelSnapshot(ctx, info.Name, module, info.Labels[refLabel(module)])
		}))
	}
	errs = slices.DeleteFunc(errs, errdefs.IsNotFound)
	return errors.Join(errs...)
}

func (s *Store) withLease(ctx context.Context, f func(context.Context) error) error {
	lease, err := s.lease(ctx)
	if err != nil {
		return err
	}
	defer lease.end()
	return f(lease.in(ctx))
}
