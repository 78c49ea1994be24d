// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// Create looks through no tree for a client that has gone.
func TestProtectingModulesEndsWithItsClient(t *testing.T) {
	tree, parent := t.TempDir(), t.TempDir()
	for i := range maxProtected + 1 {
		name := fmt.Sprint(i)
		if err := os.WriteFile(filepath.Join(tree, name), []byte("\x00asm\x01\x00\x00\x00"), 0o444); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(tree, name), filepath.Join(parent, name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	js, root := &jail.Spec{}, &rootfs{path: tree, flat: true}
	if err := protectModules(ctx, js, root); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if err := protectModules(t.Context(), js, root); err != nil {
		t.Fatal(err)
	}
	// There were too many for mounts.
	if got, err := filepath.Glob(filepath.Join(tree, ".*")); err != nil || len(got) > 0 || len(js.Mounts) > 0 {
		t.Errorf("left are %q and mounts %v (%v)", got, js.Mounts, err)
	}
}
