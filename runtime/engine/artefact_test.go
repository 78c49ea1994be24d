// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/second-state/WasmEdge-go/wasmedge"

	"golang.org/x/sys/unix"
)

// loadOnce loads b with a new engine, as after a restart, and returns how often
// that compiled.
func loadOnce(t *testing.T, cfg Config, b []byte) int32 {
	t.Helper()
	e, compiled := newEngine(t, cfg)
	m, err := e.LoadBytes(t.Context(), "app", b)
	if err != nil {
		t.Fatal(err)
	}
	m.Release()
	return compiled.Load()
}

// entry returns the only file in the cache.
func entry(t *testing.T, cfg Config) string {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(cfg.Root, "*"))
	if len(paths) != 1 {
		t.Fatalf("cache has %v, want one file", paths)
	}
	return paths[0]
}

// recordOf is the header of code, with nothing counted.
func recordOf(code []byte) header {
	return header{Size: uint64(len(code)), Digest: sha256.Sum256(code), NamesDigest: sha256.Sum256(nil)}
}

func TestCacheSurvivesDamage(t *testing.T) {
	cfg := testConfig(t)
	b := tiny(t)
	if n := loadOnce(t, cfg, b); n != 1 {
		t.Fatalf("empty cache: %d compilations, want 1", n)
	}
	if n := loadOnce(t, cfg, b); n != 0 {
		t.Fatalf("full cache: %d compilations, want 0", n)
	}
	good, err := os.ReadFile(entry(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		bad := append([]byte{}, good...)
		bad[at] ^= 1
		return bad
	}
	h, err := decodeHeader(good)
	if err != nil {
		t.Fatal(err)
	}
	// An artefact that is what was written, but by something else.
	uncompiled := recordOf(b)
	uncompiled.Key = h.Key
	plain := append(uncompiled.encode(), b...)
	h.Key[0] ^= 1
	others := append(h.encode(), good[headerSize:]...)
	fifo := entry(t, cfg)
	for name, content := range map[string][]byte{
		"empty":         {},
		"only a header": good[:headerSize],
		"truncated":     good[:len(good)-1],
		"extended":      append(append([]byte{}, good...), 0),
		"bad magic":     flip(0),
		"bad key":       flip(len(cacheMagic)),
		"bad salt":      flip(len(cacheMagic) + len(Key{})),
		"bad length":    flip(len(cacheMagic) + len(Key{}) + 8),
		"bad digest":    flip(len(cacheMagic) + len(Key{}) + 16),
		"bad counts":    flip(len(cacheMagic) + len(Key{}) + 16 + sha256.Size),
		"bad checksum":  flip(headerSize - 1),
		"bad code":      flip(headerSize + int(h.Size) - 1),
		"bad names":     flip(len(good) - 1),
		"not compiled":  plain,
		"another's":     others,
	} {
		path := entry(t, cfg)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if n := loadOnce(t, cfg, b); n != 1 {
			t.Errorf("%s: %d compilations, want 1", name, n)
		}
		if again, _ := os.ReadFile(path); len(again) != len(good) {
			t.Errorf("%s: the artefact was not replaced", name)
		}
	}
	if err := os.Remove(entry(t, cfg)); err != nil {
		t.Fatal(err)
	}
	if n := loadOnce(t, cfg, b); n != 1 {
		t.Errorf("removed: %d compilations, want 1", n)
	}
	if err := errors.Join(os.Remove(entry(t, cfg)), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	if n := loadOnce(t, cfg, b); n != 1 {
		t.Errorf("a FIFO: %d compilations, want 1", n)
	}
}

func TestOnlyWhatWasRecordedIsStored(t *testing.T) {
	s, err := openDir(filepath.Join(t.TempDir(), "c"), "build")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []header{recordOf([]byte("1234")), recordOf([]byte("123456")), recordOf([]byte("12346"))} {
		if err := putCode(t.Context(), order{store: s}, h, strings.NewReader("12345")); !errors.Is(err, errOtherCode) {
			t.Errorf("stored something else than %d bytes: %v", h.Size, err)
		}
	}
	if n, size := s.Size(); n != 0 || size != 0 {
		t.Errorf("left %d files of %d bytes", n, size)
	}
	if _, err := s.Open(t.Context(), Key{}); !errdefs.IsNotFound(err) {
		t.Errorf("open of nothing: %v", err)
	}
}

// What an interrupted daemon, another version of it or another CPU left goes.
func TestNewCleansUp(t *testing.T) {
	cfg := testConfig(t)
	if err := os.MkdirAll(filepath.Join(cfg.Root, "tmp-dir"), 0o777); err != nil {
		t.Fatal(err)
	}
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	kept := build + "-kept"
	for _, name := range []string{"tmp-1", "0123456789abcdef", buildOf("another CPU") + "-x", kept} {
		if err := os.WriteFile(filepath.Join(cfg.Root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(cfg.Root, 0o777); err != nil {
		t.Fatal(err)
	}
	newEngine(t, cfg)
	if filepath.Base(entry(t, cfg)) != kept {
		t.Error("removed the wrong file")
	}
	if st, err := os.Stat(cfg.Root); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("root: %v, %v", st.Mode(), err)
	}
}

func TestKeyCoversWhatCodeDependsOn(t *testing.T) {
	a := &Engine{cpu: "one"}
	b := &Engine{cpu: "two"}
	seen := map[Key]bool{}
	for _, rec := range []Record{
		a.record("sha256:1", rules{}, Tier0),
		a.record("sha256:2", rules{}, Tier0),
		a.record("sha256:1", rules{}, 2),
		b.record("sha256:1", rules{}, Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("env", "f")}), Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("env", "block")}), Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("a", "x"), WithImport("a", "b")}), Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("a", "b"), WithImport("a", "x")}), Tier0),
	} {
		seen[rec.Key] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d different keys, want 7", len(seen))
	}
	if buildOf("one") == buildOf("two") {
		t.Error("one build for two CPUs")
	}
}

// The proposals in force are the ones that newConfigure's comment names.
func TestProposals(t *testing.T) {
	c := newConfigure()
	defer c.Release()
	for p := wasmedge.IMPORT_EXPORT_MUT_GLOBALS; p <= wasmedge.COMPONENT_MODEL; p++ {
		want := false
		switch p {
		case wasmedge.IMPORT_EXPORT_MUT_GLOBALS, wasmedge.NON_TRAP_FLOAT_TO_INT_CONVERSIONS,
			wasmedge.SIGN_EXTENSION_OPERATORS, wasmedge.MULTI_VALUE,
			wasmedge.BULK_MEMORY_OPERATIONS, wasmedge.REFERENCE_TYPES, wasmedge.SIMD:
			want = true
		}
		if c.HasConfig(p) != want {
			t.Errorf("proposal %d is on: %v", p, !want)
		}
	}
	if c.IsCompilerGenericBinary() || c.IsForceInterpreter() {
		t.Error("code is generic or interpreted")
	}
}
