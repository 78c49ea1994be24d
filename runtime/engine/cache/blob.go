// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

func (e entry) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: MediaType, Digest: e.digest, Size: e.size}
}

// blob is an open artefact.
type blob struct {
	content.ReaderAt

	digest digest.Digest
}

// Digest implements engine.Blob.
func (b blob) Digest() digest.Digest { return b.digest }

// Open implements engine.Store. Whoever has the module may use its code, so that of
// any namespace will do.
func (s *Store) Open(ctx context.Context, k engine.Key) (engine.Blob, error) {
	e, ok := s.get(k)
	if !ok {
		return nil, fmt.Errorf("compiled code %s: %w", k, errdefs.ErrNotFound)
	}
	r, err := s.open(ctx, e)
	if err != nil {
		return nil, err
	}
	return blob{r, e.digest}, nil
}

// open opens a blob, if possible in the context's namespace.
func (s *Store) open(ctx context.Context, e entry) (content.ReaderAt, error) {
	own, _ := namespaces.Namespace(ctx)
	all := slices.Clone(e.namespaces)
	slices.SortStableFunc(all, func(a, _ string) int {
		if a == own {
			return -1
		}
		return 0
	})
	for _, namespace := range all {
		r, err := s.content.ReaderAt(namespaces.WithNamespace(ctx, namespace), e.descriptor())
		if err == nil {
			return r, nil
		}
		if !errdefs.IsNotFound(err) {
			return nil, err
		}
		s.gone(namespace, e)
	}
	return nil, fmt.Errorf("compiled code %s: %w", e.digest, errdefs.ErrNotFound)
}

// gone is for a blob that a namespace does not have any more. If its file alone is
// gone, which no client does, the rest goes too.
func (s *Store) gone(namespace string, e entry) {
	if err := s.content.Delete(s.in(namespace), e.digest); err != nil && !errdefs.IsNotFound(err) {
		log.G(s.ctx).WithError(err).WithField("digest", e.digest).Warn("removing compiled code without a file")
	}
	s.drop(namespace, e)
}

// exists says whether a namespace still has a blob.
func (s *Store) exists(namespace string, e entry) bool {
	_, err := s.content.Info(s.in(namespace), e.digest)
	if errdefs.IsNotFound(err) {
		s.drop(namespace, e)
	}
	return err == nil
}

// Put implements engine.Store. The blob is leased until it is labelled.
func (s *Store) Put(ctx context.Context, rec engine.Record, size int64, r io.Reader) error {
	s.wait()
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	lease, err := s.lease(ctx)
	if err != nil {
		return err
	}
	d, err := s.write(lease.in(ctx), rec, size, r)
	if err != nil {
		lease.end()
		return err
	}
	s.add(namespace, entry{Record: rec, digest: d, size: size})
	s.hold(pin{namespace, rec.Key}, lease)
	s.work.Go(func() { s.replace(rec) })
	return nil
}

const copyBuffer = 128 << 10

func (s *Store) write(ctx context.Context, rec engine.Record, size int64, r io.Reader) (digest.Digest, error) {
	ref := "wasm-" + rec.Key.String() + "-" + rand.Text()
	w, err := s.content.Writer(ctx, content.WithRef(ref), content.WithDescriptor(ocispec.Descriptor{MediaType: MediaType, Size: size}))
	if err != nil {
		return "", err
	}
	_, err = io.CopyBuffer(w, struct{ io.Reader }{r}, make([]byte, copyBuffer))
	if err == nil {
		err = w.Commit(ctx, size, "", content.WithLabels(s.blobLabels(rec)))
	}
	d := w.Digest()
	if err != nil {
		return "", errors.Join(err, w.Close(), s.abort(ctx, ref))
	}
	return d, w.Close()
}

// abort removes what was written so far, also when ctx has ended.
func (s *Store) abort(ctx context.Context, ref string) error {
	err := s.content.Abort(context.WithoutCancel(ctx), ref)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// Remove implements engine.Store, in all namespaces.
func (s *Store) Remove(_ context.Context, k engine.Key) error {
	e, ok := s.get(k)
	if !ok {
		return nil
	}
	for _, namespace := range e.namespaces {
		s.gone(namespace, e)
	}
	return nil
}

// Annotate implements engine.Store.
func (s *Store) Annotate(_ context.Context, k engine.Key, note string) error {
	e, ok := s.get(k)
	if !ok {
		return nil
	}
	const maxNote = 1 << 10                                         // labels have at most 4 KiB
	note = strings.ToValidUTF8(note[:min(len(note), maxNote)], "?") // as all that gRPC sends
	s.mu.Lock()
	if found := s.index[k]; found != nil {
		changed := *found
		changed.note = note
		s.index[k] = &changed
	}
	s.mu.Unlock()
	var errs []error
	for _, namespace := range e.namespaces {
		info := content.Info{Digest: e.digest, Labels: map[string]string{labelNote: note}}
		_, err := s.content.Update(s.in(namespace), info, "labels."+labelNote)
		if !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// share makes a blob visible in the context's namespace, and has the context's
// lease hold it. Where content is shared between namespaces, nothing is copied.
// ErrNotFound: it is nowhere any more.
func (s *Store) share(ctx context.Context, e entry) error {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	ref := "wasm-share-" + e.digest.Encoded() + "-" + rand.Text()
	w, err := s.content.Writer(ctx, content.WithRef(ref), content.WithDescriptor(e.descriptor()))
	if errdefs.IsAlreadyExists(err) {
		s.add(namespace, e)
		return nil
	}
	if err != nil {
		return err
	}
	if err = s.copy(ctx, w, e); err != nil && !errdefs.IsAlreadyExists(err) {
		return errors.Join(err, w.Close(), s.abort(ctx, ref))
	}
	s.add(namespace, e)
	return w.Close()
}

func (s *Store) copy(ctx context.Context, w content.Writer, e entry) error {
	st, err := w.Status()
	if err != nil {
		return err
	}
	if st.Offset != e.size { // content is not shared
		r, err := s.open(ctx, e)
		if err != nil {
			return err
		}
		defer r.Close()
		if _, err := io.CopyBuffer(w, io.NewSectionReader(r, 0, e.size), make([]byte, copyBuffer)); err != nil {
			return err
		}
	}
	labels := s.blobLabels(e.Record)
	if e.note != "" {
		labels[labelNote] = e.note
	}
	return w.Commit(ctx, e.size, e.digest, content.WithLabels(labels))
}
