// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/hostile/modules"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// guest is one of guests/ or modules/.
type guest struct {
	name   string
	header *header
	source string        // a file; empty:
	build  func() []byte // makes the module

	once sync.Once
	ref  string
	err  error
}

// all are the guests, by name. Their images are made once for all tests and rounds.
var all = sync.OnceValues(func() ([]*guest, error) {
	var out []*guest
	paths, err := filepath.Glob("guests/*.*")
	if err != nil {
		return nil, err
	}
	markers := map[string]string{".wat": ";;", ".c": "//", ".go": "//"}
	for _, path := range paths {
		marker, ok := markers[filepath.Ext(path)]
		if !ok {
			continue // a header of C
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		h, err := parseSource(source, marker)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		name := filepath.Base(path)
		out = append(out, &guest{name: name[:len(name)-len(filepath.Ext(name))], header: h, source: path})
	}
	for _, m := range modules.All() {
		h, err := parseHeader(m.Header)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", m.Name, err)
		}
		out = append(out, &guest{name: "module-" + m.Name, header: h, build: m.Build})
	}
	return out, nil
})

// image imports the guest's image and returns its name.
func (g *guest) image(ctx context.Context, d *daemon.Daemon) (string, error) {
	g.once.Do(func() {
		g.ref = "example.com/hostile/" + g.name + ":latest"
		g.err = g.load(ctx, d)
	})
	return g.ref, g.err
}

// loading is for one at a time: the daemon's imports wait for each other as well, and
// longer.
var loading sync.Mutex

func (g *guest) load(ctx context.Context, d *daemon.Daemon) error {
	module, err := g.module(ctx)
	if err != nil {
		return err
	}
	path := "/" + g.name + ".wasm"
	config := v1.Config{Entrypoint: []string{path}, WorkingDir: "/"}
	img, err := images.New(images.Host(), config, map[string][]byte{path: module})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hostile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	archive := filepath.Join(dir, "image.tar")
	if err := images.Archive(archive, g.ref, img); err != nil {
		return err
	}
	loading.Lock()
	defer loading.Unlock()
	return d.Load(namespaces.WithNamespace(ctx, d.Name), archive, g.ref)
}

func (g *guest) module(ctx context.Context) ([]byte, error) {
	if g.source != "" {
		return images.CompileFile(ctx, g.source)
	}
	return g.build(), nil
}

// The suite is worth something only as long as its guests are there.
func TestThereAreEnoughGuests(t *testing.T) {
	const least = 60
	guests, err := all()
	if err != nil {
		t.Fatal(err)
	}
	if len(guests) < least {
		t.Errorf("there are %d guests, want %d or more", len(guests), least)
	}
	names := map[string]bool{}
	for _, g := range guests {
		if names[g.name] {
			t.Errorf("there are two guests %q", g.name)
		}
		names[g.name] = true
	}
}
