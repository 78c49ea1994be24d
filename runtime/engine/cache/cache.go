// SPDX-License-Identifier: Apache-2.0

// Package cache keeps compiled code in containerd's content store, and sees to it
// that what an image needs is compiled when the image is unpacked.
//
// An artefact is a blob with labels that say what it is. It lives as long as a
// snapshot or a container that refers to it by a label, which containerd's garbage
// collector follows:
//
//	image --> manifest --> committed snapshot --gc.ref.content.wasm.MODULE--> blob
//	                       container          --gc.ref.content.wasm.MODULE--> blob
//
// A committed snapshot refers to the code of the modules in its tree, unless one
// below it does. A container refers to the code of a module that is in no image: on
// a volume, or one that replaced the image's. The label's value is the best code
// that there is; what it replaced is garbage. From its writing to the label, a lease
// holds a blob.
package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// Labels of blobs, but for labelRef and labelBuild, which snapshots have too.
const (
	labelKey    = "containerd.io/wasm.key"    // engine.Key in hex
	labelModule = "containerd.io/wasm.module" // digest of the module
	labelTier   = "containerd.io/wasm.tier"   // such as O2
	labelEngine = "containerd.io/wasm.engine" // version of WasmEdge, for people
	labelNote   = "containerd.io/wasm.note"   // why it is not optimized further

	// labelBuild is engine.Build: of a blob, what made it; of a snapshot, for
	// which one its modules are compiled.
	labelBuild = "containerd.io/wasm.build"

	// labelRef and a module's digest in hex are the label of who needs its code.
	labelRef = "containerd.io/gc.ref.content.wasm."
)

// MediaType is that of blobs, in events.
const MediaType = "application/vnd.containerd-wasm.compiled.v1"

func refLabel(module digest.Digest) string { return labelRef + module.Encoded() }

// Store implements engine.Store.
type Store struct {
	db         *metadata.DB
	content    content.Store
	snapshots  snapshots.Snapshotter // nil: there is none
	name       string                // of the snapshotter
	leases     leases.Manager
	containers containers.Store
	build      string

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
	uses   chan use

	filled  chan struct{} // closed when index and pins are those of the database
	labels  sync.Mutex    // held while labels that refer to blobs change
	unpacks chan struct{} // a token for each snapshot whose modules are compiled
	tiers   map[string]engine.Tier
	files   compiler

	mu      sync.Mutex
	index   map[engine.Key]*entry
	pins    map[pin]leases.Lease
	owned   map[use]bool      // uses that need no further label
	owners  map[snapshot]bool // that have labels, as far as is known
	pruning bool
}

// compiler is the part of engine.Engine that makes artefacts, and knows the
// digests of files.
type compiler interface {
	Precompile(ctx context.Context, f *os.File) (engine.Record, error)
	Digest(f *os.File) (digest.Digest, error)
}

// A snapshot is named as clients do.
type snapshot struct{ namespace, name string }

// A pin is what a lease holds until somebody refers to it.
type pin struct {
	namespace string
	key       engine.Key
}

const (
	// maxUses bounds the starts whose modules are yet to be labelled.
	maxUses = 4096
	// maxOwned bounds what is remembered of them.
	maxOwned = 16384
	// maxUnpacks bounds the snapshots that are held while their modules wait for
	// the compiler.
	maxUnpacks = 4
)

// New makes a store over db's content. snapshotter is the name of the one whose
// snapshots are trees of files. Nothing works before Start.
func New(db *metadata.DB, snapshotter string) (*Store, error) {
	build, err := engine.Build()
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:         db,
		content:    db.ContentStore(),
		snapshots:  db.Snapshotter(snapshotter),
		name:       snapshotter,
		leases:     metadata.NewLeaseManager(db),
		containers: metadata.NewContainerStore(db),
		build:      build,
		uses:       make(chan use, maxUses),
		filled:     make(chan struct{}),
		unpacks:    make(chan struct{}, maxUnpacks),
		index:      map[engine.Key]*entry{},
		pins:       map[pin]leases.Lease{},
		owned:      map[use]bool{},
		owners:     map[snapshot]bool{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Start reads what is there, removes what is of no use to this engine, and begins
// to compile what is unpacked from now on, and what has been before and is not
// compiled. tiers are those that c makes.
func (s *Store) Start(c compiler, events subscriber, tiers ...engine.Tier) {
	s.files, s.tiers = c, map[string]engine.Tier{}
	for _, t := range tiers {
		s.tiers[t.String()] = t
	}
	commits, errs := events.Subscribe(s.ctx, `topic=="/snapshot/commit"`, `topic=="/snapshot/remove"`)
	s.work.Go(func() {
		stale := s.fill()
		close(s.filled)
		s.work.Go(s.ownAll)
		s.work.Go(func() {
			s.removeStale(stale)
			s.catchUp()
		})
		s.follow(commits, errs)
	})
}

// Close ends what Start began. Compilers are the engine's, which is closed first.
func (s *Store) Close() error {
	s.cancel()
	s.work.Wait()
	return nil
}

// wait waits until the index is filled.
func (s *Store) wait() {
	select {
	case <-s.filled:
	case <-s.ctx.Done():
	}
}

// in is the store's context in a namespace.
func (s *Store) in(namespace string) context.Context {
	return namespaces.WithNamespace(s.ctx, namespace)
}

// allNamespaces lists containerd's.
func (s *Store) allNamespaces() (names []string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		names, err = metadata.NewNamespaceStore(tx).List(s.ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	return names, nil
}

// A place is a blob in a namespace.
type place struct {
	namespace string
	digest    digest.Digest
}

// fill reads the index from the blobs' labels, and ends leases of an earlier daemon.
// It returns blobs that no engine here can use.
func (s *Store) fill() (stale []place) {
	names, err := s.allNamespaces()
	errs := []error{err}
	for _, name := range names {
		ctx := s.in(name)
		err := s.content.Walk(ctx, func(info content.Info) error {
			if e, ok := s.parse(info); ok {
				s.add(name, e)
			} else {
				stale = append(stale, place{name, info.Digest})
			}
			return nil
		}, fmt.Sprintf("labels.%q", labelKey))
		errs = append(errs, err, s.dropLeases(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		log.G(s.ctx).WithError(err).Error("reading what compiled code there is")
	}
	return stale
}

func (s *Store) removeStale(stale []place) {
	for _, p := range stale {
		logger := log.G(s.ctx).WithField("namespace", p.namespace).WithField("digest", p.digest)
		logger.Info("removing compiled code that was made by or for something else")
		if err := s.content.Delete(s.in(p.namespace), p.digest); err != nil && !errdefs.IsNotFound(err) {
			logger.WithError(err).Error("removing compiled code")
		}
	}
}
