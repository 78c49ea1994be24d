// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// TestOptimizedFrames runs a guest with large frames once it is optimized. In the other
// tests it may be, or not.
func TestOptimizedFrames(t *testing.T) {
	d := daemon.Start(t, daemon.WithTOML("[plugins.'io.containerd.wasm.v1.engine']\noptimize = \"2\""))
	s := newSuite(t, d)
	all, err := all()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(g *guest) bool { return g.name == "module-operands-kept" })
	// Not the same guest: its image is in the shared daemon.
	g := &guest{name: all[at].name, header: all[at].header, build: all[at].build}
	if _, err := g.image(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	awaitOptimized(t, d, digest.FromBytes(g.build()))
	if err := s.run(t.Context(), g); err != nil {
		t.Error(err)
	}
	s.checkDaemon(t)
}

// awaitOptimized waits until the daemon has the optimized code of a module.
func awaitOptimized(t *testing.T, d *daemon.Daemon, module digest.Digest) {
	t.Helper()
	ctx := namespaces.WithNamespace(context.WithoutCancel(t.Context()), d.Name)
	filter := fmt.Sprintf(`labels."containerd.io/wasm.module"==%q,labels."containerd.io/wasm.tier"==O2`, module)
	daemon.Eventually(t, "optimized code", func() error {
		d.LendToCompilers()
		found := 0
		err := d.Client().ContentStore().Walk(ctx, func(content.Info) error { found++; return nil }, filter)
		if err == nil && found == 0 {
			err = fmt.Errorf("there is none of %s", module)
		}
		return err
	})
}
