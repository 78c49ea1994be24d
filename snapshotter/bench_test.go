// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
)

var benchmarked = []struct {
	name string
	make func(root string) (snapshots.Snapshotter, error)
}{
	{"wasm", New},
	{"native", native.NewSnapshotter},
	{"overlayfs", func(root string) (snapshots.Snapshotter, error) {
		return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
	}},
}

var benchmarkedModules = []struct {
	name string
	size int
}{{"40KB", 40 << 10}, {"2.6MB", 2600 << 10}}

// BenchmarkPrepare is the time of Prepare for an image of one module and three
// small files. For overlayfs, the mount that a container start needs as well is
// not part of it.
func BenchmarkPrepare(b *testing.B) {
	testutil.RequiresRoot(b)
	for _, module := range benchmarkedModules {
		for _, sn := range benchmarked {
			b.Run(module.name+"/"+sn.name, func(b *testing.B) {
				s := benchSnapshotter(b, sn.make, module.size)
				ctx := context.Background()
				n := 0
				for b.Loop() {
					if _, err := s.Prepare(ctx, fmt.Sprint("key-", n), "image"); err != nil {
						b.Fatal(err)
					}
					n++
				}
			})
		}
	}
}

// BenchmarkPrepareRemove adds what the end of a container costs.
func BenchmarkPrepareRemove(b *testing.B) {
	testutil.RequiresRoot(b)
	for _, module := range benchmarkedModules {
		for _, sn := range benchmarked {
			b.Run(module.name+"/"+sn.name, func(b *testing.B) {
				s := benchSnapshotter(b, sn.make, module.size)
				ctx := context.Background()
				for b.Loop() {
					if _, err := s.Prepare(ctx, "key", "image"); err != nil {
						b.Fatal(err)
					}
					if err := s.Remove(ctx, "key"); err != nil {
						b.Fatal(err)
					}
					if c, ok := s.(snapshots.Cleaner); ok {
						if err := c.Cleanup(ctx); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// BenchmarkClone is the part of Prepare which is not the metadata transaction.
func BenchmarkClone(b *testing.B) {
	for _, module := range benchmarkedModules {
		b.Run(module.name, func(b *testing.B) {
			src, dst := b.TempDir(), b.TempDir()
			benchTree(b, src, module.size)
			if _, err := sealTree(context.Background(), src); err != nil {
				b.Fatal(err)
			}
			var c copier
			n := 0
			for b.Loop() {
				to := filepath.Join(dst, fmt.Sprint(n))
				if err := os.Mkdir(to, 0o700); err != nil {
					b.Fatal(err)
				}
				if err := cloneTree(context.Background(), &c, to, src, false); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

// BenchmarkPrivatizeNothing is what a start pays when no module is shared.
func BenchmarkPrivatizeNothing(b *testing.B) {
	root := b.TempDir()
	benchTree(b, root, 40<<10)
	for b.Loop() {
		if err := Privatize(b.Context(), root); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSnapshotter(b *testing.B, open func(string) (snapshots.Snapshotter, error), moduleSize int) snapshots.Snapshotter {
	b.Helper()
	s, err := open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	ctx := context.Background()
	mounts, err := s.Prepare(ctx, "unpack", "")
	if err != nil {
		b.Fatal(err)
	}
	benchTree(b, mounts[0].Source, moduleSize)
	if err := s.Commit(ctx, "image", "unpack"); err != nil {
		b.Fatal(err)
	}
	return s
}

func benchTree(b *testing.B, root string, moduleSize int) {
	b.Helper()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		b.Fatal(err)
	}
	files := map[string][]byte{
		"app.wasm":   append([]byte(ModuleMagic), bytes.Repeat([]byte{1}, moduleSize)...),
		"etc/passwd": []byte("root:x:0:0::/:\n"),
		"etc/group":  []byte("root:x:0:\n"),
		"config.yml": bytes.Repeat([]byte("key: value\n"), 100),
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}
