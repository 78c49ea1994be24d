// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// What erofs' snapshotter gives for a container of an image with several layers.
func TestMountsOfTheMountManager(t *testing.T) {
	target := filepath.Join(t.TempDir(), "root")
	_, err := openRootfs(target, &specs.Root{Path: "rootfs"}, []mount.Mount{
		{Type: "erofs", Source: "/layers/1", Options: []string{"ro", "loop"}},
		{Type: "format/mkdir/overlay", Source: "overlay", Options: []string{"lowerdir={{ mount 0 }}"}},
	})
	if !errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), `"format/mkdir/overlay"`) || !strings.Contains(err.Error(), `snapshotter "wasm"`) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a mount point is left: %v", err)
	}
}
