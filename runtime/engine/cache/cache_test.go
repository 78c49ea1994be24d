// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// Code stays as long as an image that needs it, in any namespace, and not longer:
// neither as a blob, nor as a file, nor in the index.
func TestCodeLivesWithImages(t *testing.T) {
	for name, opts := range map[string][]metadata.DBOpt{"shared": nil, "isolated": {metadata.WithPolicyIsolated}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, opts...)
			module := moduleOf("app")
			w.unpack("a", "base", "", map[string][]byte{"app.wasm": module, "data": []byte("x")})
			w.unpack("a", "one", "base", map[string][]byte{"one": nil})
			w.unpack("a", "two", "base", map[string][]byte{"two": nil})
			w.image("a", "one", "one")
			w.image("a", "two", "two")
			w.unpack("b", "base", "", map[string][]byte{"app.wasm": module})
			w.image("b", "base", "base")
			for _, sn := range []snapshot{{"a", "base"}, {"a", "one"}, {"a", "two"}, {"b", "base"}} {
				w.compiled(sn.namespace, sn.name)
			}
			if n := w.fake.made.Load(); n != 1 {
				t.Errorf("%d compilations, want 1", n)
			}
			rec := recordOf(w.store, digest.FromBytes(module), engine.Tier0)
			w.collect()
			for _, image := range []snapshot{{"a", "one"}, {"a", "two"}, {"b", "base"}} {
				w.expectFound(w.in("a"), rec, true)
				if n := len(w.codes(image.namespace)); n != 1 {
					t.Errorf("%d pieces of code in %s, want 1", n, image.namespace)
				}
				w.removeImage(image.namespace, image.name)
				w.collect()
			}
			w.eventually("the index is empty", func() bool {
				n, size := w.store.Size()
				return n == 0 && size == 0
			})
			w.expectFound(w.in("a"), rec, false)
			if left := w.files(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Each snapshot below another that has the module's code already does not need a
// label of its own.
func TestLowestSnapshotRefers(t *testing.T) {
	w := newWorld(t)
	app, other := moduleOf("app"), moduleOf("other")
	w.unpack("a", "base", "", map[string][]byte{"app.wasm": app})
	base := w.compiled("a", "base")
	w.unpack("a", "top", "base", map[string][]byte{"other.wasm": other})
	top := w.compiled("a", "top")
	if ref := refLabel(digest.FromBytes(app)); base[ref] == "" || top[ref] != "" {
		t.Errorf("the module of the base: %v, and above it %v", base, top)
	}
	if ref := refLabel(digest.FromBytes(other)); top[ref] == "" {
		t.Errorf("the module of the top: %v", top)
	}
}

// What cannot be compiled does not keep the rest from being, nor the image from
// being unpacked.
func TestRefusedModule(t *testing.T) {
	w := newWorld(t)
	w.fake.fail = fmt.Errorf("bad: %w", errdefs.ErrInvalidArgument)
	w.unpack("a", "image", "", map[string][]byte{"a.wasm": moduleOf("bad"), "b.wasm": moduleOf("good")})
	labels := w.compiled("a", "image")
	if labels[refLabel(digest.FromBytes(moduleOf("bad")))] != "" || labels[refLabel(digest.FromBytes(moduleOf("good")))] == "" {
		t.Errorf("labels %v", labels)
	}
}

// A start of what no image has is the container's.
func TestContainerRefers(t *testing.T) {
	w := newWorld(t)
	w.unpack("a", "image", "", map[string][]byte{"app.wasm": moduleOf("app")})
	w.image("a", "image", "image")
	w.compiled("a", "image")
	volume := digest.FromBytes(moduleOf("volume"))
	rec := recordOf(w.store, volume, engine.Tier0)
	for id, parent := range map[string]string{"with": "image", "without": ""} {
		if err := w.fake.compile(w.in("a"), volume, engine.Tier0); err != nil {
			t.Fatal(err)
		}
		w.container("a", id, parent)
		w.store.Use(w.in("a"), id, engine.FileID{}, rec)
		w.eventually("the container is labelled", func() bool {
			c, err := metadata.NewContainerStore(w.db).Get(w.in("a"), id)
			return err == nil && c.Labels[refLabel(volume)] != ""
		})
		w.unleased()
		w.collect()
		w.expectFound(w.in("a"), rec, true)
		w.removeContainer("a", id)
		w.collect()
		w.expectFound(w.in("a"), rec, false)
	}
	// One that is gone before anybody could label it.
	if err := w.fake.compile(w.in("a"), volume, engine.Tier0); err != nil {
		t.Fatal(err)
	}
	w.store.Use(w.in("a"), "gone", engine.FileID{}, rec)
	w.eventually("the code goes", func() bool {
		w.collect()
		return len(w.codes("a")) == 1 // the image's
	})
}

// A guest that puts another module in its place again and again does not collect
// their code.
func TestContainerRefersToFewModules(t *testing.T) {
	w := newWorld(t)
	w.container("a", "c", "")
	for i := range 2*maxRefs + 2 {
		module := digest.FromBytes(moduleOf(fmt.Sprint(i)))
		if err := w.fake.compile(w.in("a"), module, engine.Tier0); err != nil {
			t.Fatal(err)
		}
		w.store.Use(w.in("a"), "c", engine.FileID{}, recordOf(w.store, module, engine.Tier0))
		w.unleased()
		w.collect()
		w.expectFound(w.in("a"), recordOf(w.store, module, engine.Tier0), true)
		if n := len(w.codes("a")); n != i%maxRefs+1 {
			t.Errorf("%d modules' code after module %d", n, i)
		}
	}
}

// A start that compiles an image's module, because it was not when it was unpacked,
// makes it the image's.
func TestStartOfAnImagesModule(t *testing.T) {
	w := newWorld(t)
	w.fake.fail = fmt.Errorf("no room: %w", errdefs.ErrUnavailable)
	module := digest.FromBytes(moduleOf("bad"))
	w.unpack("a", "image", "", map[string][]byte{"app.wasm": moduleOf("bad")})
	w.image("a", "image", "image")
	w.container("a", "c", "image")
	w.unleased()
	if err := w.fake.compile(w.in("a"), module, engine.Tier0); err != nil {
		t.Fatal(err)
	}
	w.store.Use(w.in("a"), "c", engine.FileID{Ino: 1}, recordOf(w.store, module, engine.Tier0))
	w.eventually("the snapshot is labelled", func() bool {
		info, err := w.db.Snapshotter("wasm").Stat(w.in("a"), "image")
		return err == nil && info.Labels[refLabel(module)] != ""
	})
	w.unleased()
	w.removeContainer("a", "c")
	w.collect()
	w.expectFound(w.in("a"), recordOf(w.store, module, engine.Tier0), true)
}

// Better code takes the place of what there was, for all who refer to it.
func TestOptimizedCodeReplaces(t *testing.T) {
	w := newWorld(t)
	module := digest.FromBytes(moduleOf("app"))
	for _, namespace := range []string{"a", "b"} {
		w.unpack(namespace, "image", "", map[string][]byte{"app.wasm": moduleOf("app")})
		w.image(namespace, "image", "image")
		w.compiled(namespace, "image")
	}
	if err := w.fake.compile(w.in("a"), module, 2); err != nil {
		t.Fatal(err)
	}
	w.eventually("the first tier is forgotten", func() bool {
		_, ok := w.store.Lookup(recordOf(w.store, module, engine.Tier0).Key)
		return !ok
	})
	w.unleased()
	w.collect()
	for _, namespace := range []string{"a", "b"} {
		if all := w.codes(namespace); len(all) != 1 || all[0].Labels[labelTier] != "O2" {
			t.Errorf("in %s: %v", namespace, all)
		}
	}
	w.expectFound(w.in("a"), recordOf(w.store, module, 2), true)
}

// Code of another engine goes when the daemon starts, and its modules are compiled
// again without anybody asking.
func TestUpgradeLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.unpack("a", "image", "", map[string][]byte{"app.wasm": moduleOf("app")})
	w.image("a", "image", "image")
	before := w.compiled("a", "image")
	lease := leases.WithID(leasePrefix + "left")
	if _, err := metadata.NewLeaseManager(w.db).Create(w.in("a"), lease); err != nil {
		t.Fatal(err)
	}
	w.start("another build")
	after := w.compiled("a", "image")
	w.collect()
	all := w.codes("a")
	ref := refLabel(digest.FromBytes(moduleOf("app")))
	if len(all) != 1 || all[0].Labels[labelBuild] != "another build" || after[ref] != all[0].Digest.String() || after[ref] == before[ref] {
		t.Errorf("code %v, referred to as %s", all, after[ref])
	}
	if n := len(w.files()); n != 2 {
		t.Errorf("%d files, want the image's and the code's", n)
	}
}

// The next daemon finds what there is without compiling, and what cannot be
// optimized.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	rec := recordOf(w.store, digest.FromBytes(moduleOf("app")), engine.Tier0)
	w.unpack("a", "image", "", map[string][]byte{"app.wasm": moduleOf("app")})
	w.image("a", "image", "image")
	w.compiled("a", "image")
	if err := w.store.Annotate(t.Context(), rec.Key, strings.Repeat("x", 5000)); err != nil {
		t.Fatal(err)
	}
	w.start("")
	note, ok := w.store.Lookup(rec.Key)
	if !ok || !strings.HasPrefix(note, "xxx") {
		t.Errorf("after a restart: %q, %v", note, ok)
	}
	w.unpack("b", "image", "", map[string][]byte{"app.wasm": moduleOf("app")})
	w.compiled("b", "image")
	if n := w.fake.made.Load(); n != 0 {
		t.Errorf("%d compilations, want 0", n)
	}
	if all := w.codes("b"); len(all) != 1 || all[0].Labels[labelNote] != note {
		t.Errorf("the copy lacks the note: %v", all)
	}
}

// A label that is not UTF-8 could not be sent to any client: lists of content would fail.
func TestNoteIsText(t *testing.T) {
	w := newWorld(t)
	module := digest.FromBytes(moduleOf("app"))
	rec := recordOf(w.store, module, engine.Tier0)
	if err := w.fake.compile(w.in("a"), module, engine.Tier0); err != nil {
		t.Fatal(err)
	}
	for _, note := range []string{"x" + strings.Repeat("é", 2000), strings.Repeat("x\xff", 1000), "short \xc3"} {
		if err := w.store.Annotate(t.Context(), rec.Key, note); err != nil {
			t.Fatal(err)
		}
		all := w.codes("a")
		if len(all) != 1 || !utf8.ValidString(all[0].Labels[labelNote]) || len(all[0].Labels[labelNote]) < 7 {
			t.Errorf("%.9q is noted as %v", note, all)
		}
		if got, _ := w.store.Lookup(rec.Key); len(all) == 1 && got != all[0].Labels[labelNote] {
			t.Errorf("the index has %q", got)
		}
	}
}

// What is not written whole leaves nothing.
func TestUnfinishedWrite(t *testing.T) {
	w := newWorld(t)
	rec := recordOf(w.store, "sha256:1", engine.Tier0)
	failed := errors.New("the disk is full")
	half := io.MultiReader(bytes.NewReader(make([]byte, 200<<10)), iotest.ErrReader(failed))
	if err := w.store.Put(w.in("a"), rec, 300<<10, half); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if err := w.store.Put(w.in("a"), rec, 300<<10, bytes.NewReader(make([]byte, 100))); err == nil {
		t.Error("stored less than it should")
	}
	w.expectFound(w.in("a"), rec, false)
	w.unleased()
	if all, err := w.db.ContentStore().ListStatuses(w.in("a")); err != nil || len(all) > 0 {
		t.Errorf("unfinished: %v, %v", all, err)
	}
	w.collect()
	if left := w.files(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := w.store.Put(t.Context(), rec, 1, bytes.NewReader([]byte("x"))); err == nil {
		t.Error("stored without a namespace")
	}
}

// What somebody else removes, and what is removed as damaged, is not found, and
// can be stored again.
func TestRemovedCode(t *testing.T) {
	module := digest.FromBytes(moduleOf("app"))
	for name, remove := range map[string]func(w *world, d digest.Digest, rec engine.Record) error{
		"content rm": func(w *world, d digest.Digest, _ engine.Record) error {
			return errors.Join(w.db.ContentStore().Delete(w.in("a"), d), w.db.ContentStore().Delete(w.in("b"), d))
		},
		"file": func(w *world, d digest.Digest, _ engine.Record) error {
			return os.Remove(w.blobs + "/blobs/sha256/" + d.Encoded())
		},
		"damaged": func(w *world, _ digest.Digest, rec engine.Record) error { return w.store.Remove(w.in("b"), rec.Key) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			rec := recordOf(w.store, module, engine.Tier0)
			for _, namespace := range []string{"a", "b"} {
				w.unpack(namespace, "image", "", map[string][]byte{"app.wasm": moduleOf("app")})
				w.image(namespace, "image", "image")
				w.compiled(namespace, "image")
			}
			before := w.codes("a")[0].Digest
			if err := remove(w, before, rec); err != nil {
				t.Fatal(err)
			}
			w.expectFound(w.in("a"), rec, false)
			if n, _ := w.store.Size(); n != 0 {
				t.Errorf("the index has %d entries", n)
			}
			if err := w.fake.compile(w.in("b"), module, engine.Tier0); err != nil {
				t.Fatal(err)
			}
			// Who referred to what was removed refers to that.
			after, _ := w.store.best(module)
			for _, namespace := range []string{"a", "b"} {
				w.eventually("the label in "+namespace+" is replaced", func() bool {
					info, err := w.db.Snapshotter("wasm").Stat(w.in(namespace), "image")
					return err == nil && info.Labels[refLabel(module)] == after.digest.String()
				})
			}
			w.store.release("b", rec.Key)
			w.unleased()
			w.collect()
			w.expectFound(w.in("a"), rec, true)
			for _, namespace := range []string{"a", "b"} {
				if all := w.codes(namespace); len(all) != 1 || all[0].Digest != after.digest {
					t.Errorf("in %s: %v", namespace, all)
				}
			}
		})
	}
}

// The garbage collector runs all the time, and takes nothing that is needed.
func TestCollectAllTheTime(t *testing.T) {
	w := newWorld(t)
	stop := make(chan struct{})
	var collector, workers sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.collect()
			}
		}
	})
	for i := range 3 {
		workers.Go(func() {
			namespace := fmt.Sprint("ns", i%2)
			for n := range 5 {
				name := fmt.Sprintf("image-%d-%d", i, n)
				module := moduleOf(fmt.Sprint(n)) // the same for all workers
				// What a client does while it unpacks.
				lease, err := metadata.NewLeaseManager(w.db).Create(w.in(namespace), leases.WithID(name))
				if err != nil {
					t.Error(err)
					return
				}
				w.unpackLeased(namespace, name, lease.ID, module)
				w.eventually("the image is compiled", func() bool {
					info, err := w.db.Snapshotter("wasm").Stat(w.in(namespace), name)
					return err == nil && info.Labels[refLabel(digest.FromBytes(module))] != ""
				})
				if err := metadata.NewLeaseManager(w.db).Delete(w.in(namespace), lease); err != nil {
					t.Error(err)
				}
				w.expectFound(w.in(namespace), recordOf(w.store, digest.FromBytes(module), engine.Tier0), true)
				w.removeImage(namespace, name)
			}
		})
	}
	workers.Wait()
	close(stop)
	collector.Wait()
	w.unleased()
	w.collect()
	if left := w.files(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func (w *world) unpackLeased(namespace, name, lease string, module []byte) {
	ctx, sn := leases.WithLease(w.in(namespace), lease), w.db.Snapshotter("wasm")
	mounts, err := sn.Prepare(ctx, "extract-"+name, "")
	if err == nil {
		err = os.WriteFile(mounts[0].Source+"/app.wasm", module, 0o644)
	}
	if err == nil {
		err = sn.Commit(ctx, name, "extract-"+name)
	}
	if err != nil {
		w.Error(err)
		return
	}
	w.image(namespace, name, name)
}

// Without the snapshotter, containers of others keep what they run.
func TestWithoutSnapshotter(t *testing.T) {
	w := newWorld(t)
	w.store.Close()
	s, err := New(w.db, "missing")
	if err != nil {
		t.Fatal(err)
	}
	w.store, w.fake = s, &fakeCompiler{store: s}
	s.Start(w.fake, w.events, engine.Tier0)
	module := digest.FromBytes(moduleOf("app"))
	c := containers.Container{ID: "c"}
	w.container("a", c.ID, "")
	if err := w.fake.compile(w.in("a"), module, engine.Tier0); err != nil {
		t.Fatal(err)
	}
	s.Use(w.in("a"), c.ID, engine.FileID{}, recordOf(s, module, engine.Tier0))
	w.eventually("the container is labelled", func() bool {
		got, err := metadata.NewContainerStore(w.db).Get(w.in("a"), c.ID)
		return err == nil && got.Labels[refLabel(module)] != ""
	})
}

// Foreign labels are not ours to read.
func TestMalformedLabels(t *testing.T) {
	w := newWorld(t)
	rec := recordOf(w.store, digest.FromBytes(moduleOf("app")), engine.Tier0)
	good := w.store.blobLabels(rec)
	if _, ok := w.store.parse(content.Info{Labels: good}); !ok {
		t.Fatalf("%v is malformed", good)
	}
	for label, value := range map[string]string{
		labelKey: "12", labelModule: "x", labelTier: "O9", labelBuild: "",
	} {
		bad := w.store.blobLabels(rec)
		bad[label] = value
		if e, ok := w.store.parse(content.Info{Labels: bad}); ok {
			t.Errorf("%s=%q is taken for %v", label, value, e)
		}
	}
}
