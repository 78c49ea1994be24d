// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	path := file(t, "app.wasm", tiny(t))
	f := open(t, path)
	m, err := e.Load(t.Context(), f, Use{})
	if err != nil {
		t.Fatal(err)
	}
	m.Release()
	// What a remembered digest leads to shows that the file was not hashed.
	id, settled, err := identify(f, 1<<20, false)
	if err != nil || !settled {
		t.Fatalf("identity: settled %v, %v", settled, err)
	}
	if d, ok := e.files.get(id); !ok || d != m.Digest() {
		t.Fatalf("remembered %v", d)
	}
	other := wat(t, `(module (func) (func (export "_start")))`)
	m, err = e.LoadBytes(t.Context(), "other", other)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	e.files.put(id, m.Digest())
	again, err := e.Load(t.Context(), f, Use{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if again.Digest() != m.Digest() {
		t.Error("the file was hashed again")
	}
	if n := compiled.Load(); n != 2 {
		t.Errorf("%d compilations, want 2", n)
	}
}

// A file that changes gets a new digest, even with its size and mtime kept; and
// one that has just changed is not remembered.
func TestChangedFile(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	one := wat(t, `(module (func (export "_start") i32.const 1 drop))`)
	two := wat(t, `(module (func (export "_start") i32.const 2 drop))`)
	path := file(t, "app.wasm", one)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{one, two, one} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, st.ModTime(), st.ModTime()); err != nil {
			t.Fatal(err)
		}
		f := open(t, path)
		m, err := e.Load(t.Context(), f, Use{})
		if err != nil {
			t.Fatal(err)
		}
		if m.Digest() != digest.FromBytes(b) {
			t.Error("loaded other bytes than the file has")
		}
		m.Release()
	}
	if err := os.WriteFile(path, two, 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	if _, settled, err := identify(f, 1<<20, false); settled || err != nil {
		t.Errorf("a file just written: settled %v, %v", settled, err)
	}
}

// A file that changes between being hashed and being copied is hashed again; one
// that does so for ever is given up.
func TestFileChangesUnderUs(t *testing.T) {
	e, compiled := newEngine(t, testConfig(t))
	one := wat(t, `(module (func (export "_start") i32.const 1 drop))`)
	path := file(t, "app.wasm", tiny(t))
	f := open(t, path)
	id, _, err := identify(f, 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	e.files.put(id, digest.FromString("what the file had when it was hashed"))
	if _, err := e.Load(t.Context(), f, Use{}); !errdefs.IsUnavailable(err) ||
		!strings.Contains(err.Error(), `module "app.wasm" changed while it was read, again and again`) {
		t.Errorf("ever-changing file: %v", err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, one, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := e.Load(t.Context(), f, Use{})
	if err != nil {
		t.Fatal(err)
	}
	m.Release()
	if n := compiled.Load(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
}

func TestLoadNeedsARegularFile(t *testing.T) {
	e, _ := newEngine(t, testConfig(t))
	for path, want := range map[string]string{
		"/dev/null":  `module "null" is not a regular file: invalid argument`,
		t.TempDir():  `is not a regular file: invalid argument`,
		"/dev/ptmx":  `module "ptmx" is not a regular file: invalid argument`,
		"/proc/self": `module "self" is not a regular file: invalid argument`,
	} {
		if _, err := e.Load(t.Context(), open(t, path), Use{}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestMaxModuleSize(t *testing.T) {
	cfg := testConfig(t)
	b := tiny(t)
	cfg.MaxModuleSize = int64(len(b)) - 1
	e, compiled := newEngine(t, cfg)
	want := `max_module_size`
	if _, err := e.Load(t.Context(), open(t, file(t, "app.wasm", b)), Use{}); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("file: %v", err)
	}
	if _, err := e.LoadBytes(t.Context(), "app", b); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("bytes: %v", err)
	}
	if n := compiled.Load(); n != 0 {
		t.Errorf("%d compilations, want 0", n)
	}
}

func TestBounded(t *testing.T) {
	b := newBounded[int, int](2, 20*time.Millisecond)
	for i := range 3 {
		b.put(i, i)
		b.put(i, 10*i)
	}
	if _, ok := b.get(0); ok || len(b.entries) != 2 {
		t.Errorf("the oldest of %d entries is still there", len(b.entries))
	}
	if v, ok := b.get(2); !ok || v != 20 {
		t.Errorf("got %d, %v", v, ok)
	}
	time.Sleep(30 * time.Millisecond)
	if _, ok := b.get(2); ok {
		t.Error("an entry outlived its lifetime")
	}
}

// TestSealedFileIsReadOnce: a hard link per container must not cost a read per
// container.
func TestSealedFileIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.wasm")
	if err := os.WriteFile(path, []byte("module"), 0o444); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, settled, err := identify(f, 1<<20, true)
	if err != nil || !settled {
		t.Fatalf("settled %t, %v", settled, err)
	}
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if after, _, err := identify(f, 1<<20, true); err != nil || after != before {
		t.Fatalf("a new link changed %+v to %+v, %v", before, after, err)
	}
}
