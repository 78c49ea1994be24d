// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/events/exchange"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/snapshotter"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// The test binary is re-executed as the compiler child, by benchmarks.
func TestMain(m *testing.M) {
	if engine.IsCompileChild() {
		engine.CompileChildMain()
	}
	os.Exit(m.Run())
}

// world is what a daemon has, without the daemon: a real database, content store
// and snapshotter, whose garbage is collected when a test says so.
type world struct {
	testing.TB

	db     *metadata.DB
	events *exchange.Exchange
	blobs  string // directory of the content store
	store  *Store
	fake   *fakeCompiler
}

func newWorld(t testing.TB, opts ...metadata.DBOpt) *world {
	t.Helper()
	w := newWorldWithoutStore(t, false, opts...)
	w.start("")
	return w
}

func newWorldWithoutStore(t testing.TB, durable bool, opts ...metadata.DBOpt) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{TB: t, events: exchange.NewExchange(), blobs: filepath.Join(dir, "content")}
	trees, err := snapshotter.New(filepath.Join(dir, "snapshotter"))
	if err != nil {
		t.Fatal(err)
	}
	cs, err := local.NewStore(w.blobs)
	if err != nil {
		t.Fatal(err)
	}
	bdb, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o600, &bolt.Options{NoSync: !durable})
	if err != nil {
		t.Fatal(err)
	}
	w.db = metadata.NewDB(bdb, cs, map[string]snapshots.Snapshotter{"wasm": trees}, append(opts, metadata.WithEventsPublisher(w.events))...)
	if err := w.db.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.store.Close(), w.db.Close(), trees.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start makes the store, as a daemon does that starts; build, if any, is that of
// another engine.
func (w *world) start(build string) {
	w.Helper()
	if w.store != nil {
		w.store.Close()
	}
	s, err := New(w.db, "wasm")
	if err != nil {
		w.Fatal(err)
	}
	if build != "" {
		s.build = build
	}
	w.store, w.fake = s, &fakeCompiler{store: s}
	s.Start(w.fake, w.events, engine.Tier0, 2)
	s.wait()
}

// fakeCompiler makes code of random bytes.
type fakeCompiler struct {
	store *Store
	made  atomic.Int32
	fail  error // of modules that contain "bad"

	mu sync.Mutex
}

func (c *fakeCompiler) Digest(f *os.File) (digest.Digest, error) {
	b, err := os.ReadFile("/proc/self/fd/" + fmt.Sprint(f.Fd()))
	return digest.FromBytes(b), err
}

func (c *fakeCompiler) Precompile(ctx context.Context, f *os.File) (engine.Record, error) {
	c.mu.Lock() // the engine compiles a module once
	defer c.mu.Unlock()
	d, err := c.Digest(f)
	if err != nil {
		return engine.Record{}, err
	}
	if c.fail != nil && d == digest.FromBytes(moduleOf("bad")) {
		return engine.Record{}, c.fail
	}
	if e, ok := c.store.best(d); ok {
		return e.Record, nil
	}
	return recordOf(c.store, d, engine.Tier0), c.compile(ctx, d, engine.Tier0)
}

func recordOf(s *Store, module digest.Digest, t engine.Tier) engine.Record {
	return engine.Record{Key: sha256.Sum256([]byte(s.build + module.String() + t.String())), Module: module, Tier: t}
}

func (c *fakeCompiler) compile(ctx context.Context, module digest.Digest, t engine.Tier) error {
	c.made.Add(1)
	const size = 300 << 10
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return c.store.Put(ctx, recordOf(c.store, module, t), size, bytes.NewReader(b))
}

func (w *world) in(namespace string) context.Context {
	return namespaces.WithNamespace(context.WithoutCancel(w.Context()), namespace)
}

func moduleOf(text string) []byte { return []byte("\x00asm\x01\x00\x00\x00" + text) }

// unpack makes a committed snapshot of files on top of another.
func (w *world) unpack(namespace, name, parent string, files map[string][]byte) {
	w.Helper()
	ctx, sn := w.in(namespace), w.db.Snapshotter("wasm")
	key := "extract-" + name
	unpacking := snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: name})
	mounts, err := sn.Prepare(ctx, key, parent, unpacking)
	if err != nil {
		w.Fatal(err)
	}
	for path, b := range files {
		if err := os.WriteFile(filepath.Join(mounts[0].Source, path), b, 0o644); err != nil {
			w.Fatal(err)
		}
	}
	if err := sn.Commit(ctx, name, key); err != nil {
		w.Fatal(err)
	}
}

// image makes an image of a snapshot, which is one of its own.
func (w *world) image(namespace, name, top string) {
	w.Helper()
	ctx := w.in(namespace)
	b := []byte(namespace + name)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(b), Size: int64(len(b))}
	refs := content.WithLabels(map[string]string{"containerd.io/gc.ref.snapshot.wasm": top})
	if err := content.WriteBlob(ctx, w.db.ContentStore(), name, bytes.NewReader(b), desc, refs); err != nil {
		w.Fatal(err)
	}
	if _, err := metadata.NewImageStore(w.db).Create(ctx, images.Image{Name: name, Target: desc}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) removeImage(namespace, name string) {
	w.Helper()
	if err := metadata.NewImageStore(w.db).Delete(w.in(namespace), name); err != nil {
		w.Fatal(err)
	}
}

// container makes a container, with a snapshot if it has a parent.
func (w *world) container(namespace, id, parent string) {
	w.Helper()
	ctx := w.in(namespace)
	c := containers.Container{ID: id, Runtime: containers.RuntimeInfo{Name: "r"}, Spec: &types.Any{}}
	if parent != "" {
		c.Snapshotter, c.SnapshotKey = "wasm", id
		if _, err := w.db.Snapshotter("wasm").Prepare(ctx, id, parent); err != nil {
			w.Fatal(err)
		}
	}
	if _, err := metadata.NewContainerStore(w.db).Create(ctx, c); err != nil {
		w.Fatal(err)
	}
}

func (w *world) removeContainer(namespace, id string) {
	w.Helper()
	if err := metadata.NewContainerStore(w.db).Delete(w.in(namespace), id); err != nil {
		w.Fatal(err)
	}
}

func (w *world) collect() {
	w.Helper()
	if _, err := w.db.GarbageCollect(context.WithoutCancel(w.Context())); err != nil {
		w.Fatal(err)
	}
}

// compiled waits until a snapshot is marked as compiled.
func (w *world) compiled(namespace, name string) (labels map[string]string) {
	w.Helper()
	w.eventually("snapshot "+name+" is compiled", func() bool {
		info, err := w.db.Snapshotter("wasm").Stat(w.in(namespace), name)
		labels = info.Labels
		return err == nil && labels[labelBuild] == w.store.build
	})
	w.unleased()
	return labels
}

// unleased waits until nothing is at work.
func (w *world) unleased() {
	w.Helper()
	w.eventually("there is no lease", func() bool {
		names, err := w.store.allNamespaces()
		for _, name := range names {
			all, e := metadata.NewLeaseManager(w.db).List(w.in(name))
			if err = errors.Join(err, e); len(all) > 0 {
				return false
			}
		}
		return err == nil
	})
}

func (w *world) eventually(what string, f func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience.For(10 * time.Second)); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("never: %s", what)
		}
	}
}

// codes lists the compiled code in a namespace.
func (w *world) codes(namespace string) (all []content.Info) {
	w.Helper()
	err := w.db.ContentStore().Walk(w.in(namespace), func(info content.Info) error {
		all = append(all, info)
		return nil
	}, fmt.Sprintf("labels.%q", labelKey))
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// files are the content store's, which images' are in, too.
func (w *world) files() (paths []string) {
	w.Helper()
	err := filepath.WalkDir(w.blobs, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return paths
}

func (w *world) expectFound(ctx context.Context, rec engine.Record, want bool) {
	w.Helper()
	b, err := w.store.Open(ctx, rec.Key)
	switch {
	case want && err != nil:
		w.Errorf("the code is not there: %v", err)
	case !want && !errdefs.IsNotFound(err):
		w.Errorf("opening what is not there: %v", err)
	}
	if err == nil {
		b.Close()
	}
}
