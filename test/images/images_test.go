// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func testImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := New(WASI(), v1.Config{Entrypoint: []string{"/a/b/c.wasm"}}, map[string][]byte{
		"/a/b/c.wasm": []byte("\x00asm"),
		"/a.txt":      []byte("text"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func tarNames(t *testing.T, r io.Reader) []string {
	t.Helper()
	var names []string
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

func TestNewIsReproducible(t *testing.T) {
	if first, second := digest(t, testImage(t)), digest(t, testImage(t)); first != second {
		t.Errorf("digests %s and %s of equal images differ", first, second)
	}
}

func TestNewHasFilesAndConfig(t *testing.T) {
	img := testImage(t)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if got, want := tarNames(t, content), []string{"a.txt", "a/", "a/b/", "a/b/c.wasm"}; !slices.Equal(got, want) {
		t.Errorf("the layer has %q, want %q", got, want)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !config.Platform().Equals(WASI()) {
		t.Errorf("the platform is %s", config.Platform())
	}
}

func TestBuild(t *testing.T) {
	specs := []Spec{Wasm("exit"), Wasm("hello-go").ForWASI(), Native("hello"), Pause()}
	dir := t.TempDir()
	paths, err := Build(t.Context(), dir, specs...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build(t.Context(), t.TempDir(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := os.ReadFile(again[i]); err != nil || !bytes.Equal(content, other) {
			t.Errorf("%s differs when built again (%v)", path, err)
		}
		if names := tarNames(t, bytes.NewReader(content)); len(names) != 5 {
			t.Errorf("%s has %q, want oci-layout, index.json and 3 blobs", path, names)
		}
	}
}

func TestBuildReportsCompilerErrors(t *testing.T) {
	spec := Wasm("exit")
	spec.Source = "guests/none.c"
	_, err := Build(t.Context(), t.TempDir(), spec)
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("the error is %v, want the compiler's own words", err)
	}
}

func TestRegistryServesWhatWasPushed(t *testing.T) {
	registry := NewRegistry()
	defer registry.Close()
	img := testImage(t)
	ref, err := registry.Push("test/image:v1", img)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digest(t, pulled), digest(t, img); got != want {
		t.Errorf("pulled %s, pushed %s", got, want)
	}
}

// containerd keeps the constant in an internal package, so this reads its source.
func TestPauseRefIsContainerdsDefault(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/containerd/containerd/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal/cri/config/config.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(source, []byte(`DefaultSandboxImage = "`+PauseRef+`"`)) {
		t.Errorf("%s is not containerd's default sandbox image", PauseRef)
	}
}
