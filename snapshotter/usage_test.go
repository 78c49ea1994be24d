// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
)

func TestUsageIsWhatARemovalFrees(t *testing.T) {
	s := open(t, t.TempDir())
	const moduleSize, textSize = 1 << 20, 64 << 10
	bigModule := module + strings.Repeat("\x01", moduleSize)
	text := strings.Repeat("x", textSize)
	image(t, s, "image", func(dir string) {
		write(t, filepath.Join(dir, "m.wasm"), bigModule, 0o644)
		must(t, os.Link(filepath.Join(dir, "m.wasm"), filepath.Join(dir, "again.wasm")))
		write(t, filepath.Join(dir, "text"), text, 0o644)
		must(t, os.Link(filepath.Join(dir, "text"), filepath.Join(dir, "text2")))
	})
	active := prepare(t, s, "active", "image")
	_, err := s.View(t.Context(), "view", "image")
	must(t, err)

	checkUsage(t, s, "image", 3, moduleSize+textSize)
	checkUsage(t, s, "active", 2, textSize)
	checkUsage(t, s, "view", 0, 0)

	write(t, filepath.Join(active, "own.wasm"), bigModule, 0o644)
	checkUsage(t, s, "active", 3, textSize+moduleSize)
	must(t, s.Commit(t.Context(), "next", "active"))
	checkUsage(t, s, "next", 3, textSize+moduleSize)
	prepare(t, s, "last", "next")
	checkUsage(t, s, "next", 3, textSize+moduleSize)
	checkUsage(t, s, "last", 2, textSize)

	must(t, Privatize(t.Context(), s.path("4")))
	checkUsage(t, s, "last", 5, textSize+3*moduleSize)
}

// checkUsage allows for what the file system needs besides contents.
func checkUsage(t *testing.T, s snapshots.Snapshotter, key string, inodes, size int64) {
	t.Helper()
	const overhead = 32 << 10
	got, err := s.Usage(t.Context(), key)
	if err != nil || got.Inodes != inodes || got.Size < size || got.Size > size+overhead {
		t.Errorf("%s: got %+v, %v, want %d inodes and %d bytes", key, got, err, inodes, size)
	}
}
