// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
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
	cpu, err := cpuModel()
	if err != nil {
		t.Fatal(err)
	}
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	kept := build + "-kept"
	for _, name := range []string{"tmp-1", "0123456789abcdef", buildOf(Version(), "another CPU") + "-x", buildOf("0.0.0", cpu) + "-x", kept} {
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
	a := &Engine{version: "1", cpu: "one"}
	b := &Engine{version: "1", cpu: "two"}
	c := &Engine{version: "2", cpu: "one"}
	seen := map[Key]bool{}
	for _, rec := range []Record{
		a.record("sha256:1", rules{}, Tier0),
		a.record("sha256:2", rules{}, Tier0),
		a.record("sha256:1", rules{}, 2),
		b.record("sha256:1", rules{}, Tier0),
		c.record("sha256:1", rules{}, Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("env", "f")}), Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("env", "block")}), Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("a", "x"), WithImport("a", "b")}), Tier0),
		a.record("sha256:1", newRules([]Option{WithImport("a", "b"), WithImport("a", "x")}), Tier0),
	} {
		seen[rec.Key] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d different keys, want 8", len(seen))
	}
	if buildOf("1", "one") == buildOf("1", "two") || buildOf("1", "one") == buildOf("2", "one") {
		t.Error("one build for two CPUs, or for two versions of WasmEdge")
	}
	if e, _ := newEngine(t, testConfig(t)); e.version != wasmedge.GetVersion() || e.cpu == "" {
		t.Errorf("an engine of version %q for CPU %q", e.version, e.cpu)
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

// What the disk has is taken for an artefact only if it is whole, and the one that is
// asked for. A header with a good checksum may say anything.
func FuzzArtefact(f *testing.F) {
	h := recordOf([]byte("code"))
	h.NamesSize, h.NamesDigest = 5, sha256.Sum256([]byte("names"))
	good := append(h.encode(), "codenames"...)
	f.Add(good, false, false)
	f.Add(good[:headerSize], true, false)
	f.Add(append(bytes.Clone(good), 0), true, true)
	h.Size, h.NamesSize = 1<<64-1, 10
	f.Add(append(h.encode(), "codenames"...), true, true)
	h.Key[0], h.Size, h.NamesSize = 1, 9, 0
	f.Add(append(h.encode(), "codenames"...), true, true)
	f.Add([]byte{}, false, false)
	f.Fuzz(func(t *testing.T, b []byte, summed, stored bool) {
		if summed && len(b) >= headerSize {
			b = bytes.Clone(b)
			sum := sha256.Sum256(b[:headerSize-sha256.Size])
			copy(b[headerSize-sha256.Size:], sum[:])
		}
		blob := memBlob{bytes.NewReader(b), ""}
		if stored {
			blob.digest = digest.FromBytes(b)
		}
		size, err := artefactSize(blob)
		if err != nil {
			return
		}
		a, err := readArtefact(Key{}, blob, size)
		if err != nil {
			return
		}
		defer a.close()
		if a.Key != (Key{}) || !bytes.Equal(slices.Concat(a.header.encode(), a.code(), a.names()), b) {
			t.Errorf("%x is taken for %+v", b, a.header)
		}
		if !stored && (sha256.Sum256(a.code()) != a.Digest || sha256.Sum256(a.names()) != a.NamesDigest) {
			t.Errorf("%x does not have the digests of %+v", b, a.header)
		}
	})
}

// A compiler's file is stored only if it is what the compiler said, however it is read.
func FuzzRecorded(f *testing.F) {
	f.Add([]byte("code"), []byte("code"), uint8(0))
	f.Add([]byte("code"), []byte("codes"), uint8(1))
	f.Add([]byte("code"), []byte("cod"), uint8(2))
	f.Add([]byte("code"), []byte("c0de"), uint8(3))
	f.Add([]byte{}, []byte{}, uint8(4))
	f.Fuzz(func(t *testing.T, said, file []byte, how uint8) {
		var src io.Reader = bytes.NewReader(file)
		switch how % 5 {
		case 1:
			src = iotest.OneByteReader(src)
		case 2:
			src = iotest.HalfReader(src)
		case 3:
			src = iotest.DataErrReader(src)
		case 4:
			src = iotest.TimeoutReader(src)
		}
		got, err := io.ReadAll(newRecorded(recordOf(said), src))
		if err == nil && !bytes.Equal(got, said) {
			t.Errorf("%x is stored for %x", got, said)
		}
		if equal := bytes.Equal(said, file); how%5 != 4 && equal != (err == nil) || !equal && err == nil {
			t.Errorf("%x for %x: %v", file, said, err)
		}
	})
}
