// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// Who may write the directory that a volume is in puts the host's root there while the
// start of a guest waits for the compiler. With it, procfs would come.
func TestVolumeIsReplacedDuringTheStart(t *testing.T) {
	d := daemon.Start(t)
	image := images.Wasm("hello-go") // compiles for seconds
	dir := t.TempDir()
	volume := filepath.Join(dir, "volume")
	if err := os.Mkdir(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	compilations := d.WatchCompilations(t)
	d.Import(t, image)
	c, err := d.NewContainer(t.Context(), daemon.Job{Image: image.Ref, Opts: []oci.SpecOpts{oci.WithMounts([]specs.Mount{
		{Type: "bind", Source: volume, Destination: "/volume", Options: []string{"rbind"}},
	})}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	created := make(chan error)
	go func() { created <- c.CreateTask() }()
	daemon.Eventually(t, "the start to wait for the compiler", func() error {
		if compilations.Waits() == 0 {
			return errors.New("it does not")
		}
		return nil
	})
	if err := errors.Join(os.Rename(volume, volume+".old"), os.Symlink("/", volume)); err != nil {
		t.Fatal(err)
	}
	if err := <-created; err != nil {
		t.Fatal(err)
	}
	mounts := guestFile(t, &box{Container: c}, "mountinfo")
	if strings.Contains(mounts, " - proc ") || !strings.Contains(mounts, "/volume.old /volume ") {
		t.Errorf("the guest's mounts:\n%s", mounts)
	}
}
