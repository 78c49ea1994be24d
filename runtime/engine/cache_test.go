// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/second-state/WasmEdge-go/wasmedge"
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
	return header{Size: uint64(len(code)), Digest: sha256.Sum256(code)}
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
	// An artefact that is what was written, but by something else.
	uncompiled := filepath.Join(t.TempDir(), "uncompiled")
	if err := os.Mkdir(uncompiled, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (&cache{uncompiled}).put(key{}, recordOf(b), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile((&cache{uncompiled}).path(key{}))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty":         {},
		"only a header": good[:headerSize],
		"truncated":     good[:len(good)-1],
		"extended":      append(append([]byte{}, good...), 0),
		"bad magic":     flip(0),
		"bad length":    flip(len(cacheMagic)),
		"bad digest":    flip(len(cacheMagic) + 8),
		"bad counts":    flip(len(cacheMagic) + 8 + sha256.Size),
		"bad checksum":  flip(headerSize - 1),
		"bad code":      flip(len(good) - 1),
		"not compiled":  plain,
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
}

func TestCacheStoresWhatWasRecorded(t *testing.T) {
	c, err := openCache(filepath.Join(t.TempDir(), "c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []header{recordOf([]byte("1234")), recordOf([]byte("123456")), recordOf([]byte("12346"))} {
		if err := c.put(key{}, h, strings.NewReader("12345")); !errors.Is(err, errOtherCode) {
			t.Errorf("stored something else than %d bytes: %v", h.Size, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.root, "*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if _, err := c.open(key{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
}

func TestNewCleansUp(t *testing.T) {
	cfg := testConfig(t)
	if err := os.MkdirAll(cfg.Root, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tmp-1", "tmp-2", "kept"} {
		if err := os.WriteFile(filepath.Join(cfg.Root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(cfg.Root, 0o777); err != nil {
		t.Fatal(err)
	}
	newEngine(t, cfg)
	if filepath.Base(entry(t, cfg)) != "kept" {
		t.Error("removed the wrong file")
	}
	if st, err := os.Stat(cfg.Root); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("root: %v, %v", st.Mode(), err)
	}
}

func TestKeyCoversWhatCodeDependsOn(t *testing.T) {
	a := &Engine{cpu: "one"}
	b := &Engine{cpu: "two"}
	seen := map[key]bool{
		a.key("sha256:1", rules{}):                                                        true,
		a.key("sha256:2", rules{}):                                                        true,
		b.key("sha256:1", rules{}):                                                        true,
		a.key("sha256:1", newRules([]Option{WithoutStart()})):                             true,
		a.key("sha256:1", newRules([]Option{WithImport("env", "block")})):                 true,
		a.key("sha256:1", newRules([]Option{WithImport("a", "x"), WithImport("a", "b")})): true,
		a.key("sha256:1", newRules([]Option{WithImport("a", "b"), WithImport("a", "x")})): true,
	}
	if len(seen) != 6 {
		t.Errorf("%d different keys, want 6", len(seen))
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
