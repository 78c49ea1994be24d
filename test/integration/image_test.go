// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// hello is built for both platforms that images of guests have.
var hello = map[string]images.Spec{
	"":          images.Wasm("hello-c"),
	"wasi/wasm": images.Wasm("hello-c").ForWASI(),
}

// platformArgs are what a user adds for an image of another platform than the
// host's.
func platformArgs(platform string) []string {
	if platform == "" {
		return nil
	}
	return []string{"--platform", platform}
}

func TestImport(t *testing.T) {
	for platform, spec := range hello {
		t.Run(spec.Platform.OS, func(t *testing.T) {
			d := shared(t)
			paths, err := images.Build(t.Context(), t.TempDir(), spec)
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{"images", "import", "--snapshotter", daemon.Snapshotter}, platformArgs(platform)...)
			if out := d.Ctr(t, append(args, paths[0])...); out.Code != 0 {
				t.Fatalf("import failed: %s", out.Stderr)
			}
			runHello(t, d, spec.Ref, platform)
		})
	}
}

func TestPull(t *testing.T) {
	for platform, spec := range hello {
		t.Run(spec.Platform.OS, func(t *testing.T) {
			d := shared(t)
			registry := images.NewRegistry()
			defer registry.Close()
			img, err := images.Image(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := registry.Push("hello:latest", img)
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{"images", "pull", "--plain-http", "--snapshotter", daemon.Snapshotter}, platformArgs(platform)...)
			if out := d.Ctr(t, append(args, ref.String())...); out.Code != 0 {
				t.Fatalf("pull failed: %s", out.Stderr)
			}
			runHello(t, d, ref.String(), platform)
		})
	}
}

func runHello(t *testing.T, d *daemon.Daemon, ref, platform string) {
	t.Helper()
	args := append(d.RunArgs(platformArgs(platform)...), ref, newID())
	expect(t, d.Ctr(t, args...), 0, "hello from C\n")
}

// An image that is removed takes its snapshots and its compiled code along.
func TestRemovedImageLeavesNothing(t *testing.T) {
	d := daemon.Start(t)
	spec := images.Wasm("exit")
	before := d.Resources(t)
	for range 2 {
		d.Import(t, spec)
		expect(t, d.Ctr(t, append(d.RunArgs(), spec.Ref, newID())...), 0, "")
		if out := d.Ctr(t, "images", "rm", "--sync", spec.Ref); out.Code != 0 {
			t.Fatalf("removing the image failed: %s", out.Stderr)
		}
		// The daemon may be at work on them for a moment.
		daemon.Eventually(t, "the snapshots of a removed image to go", func() error {
			if out := d.Ctr(t, "snapshots", "--snapshotter", daemon.Snapshotter, "ls"); countLines(out.Stdout) != 1 {
				return fmt.Errorf("there is\n%s", out.Stdout)
			}
			return nil
		})
	}
	d.CheckLeaks(t, before)
}
