// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// As kubelet pulls: with the handler of the pod that the image is for.
func TestPull(t *testing.T) {
	d := shared(t)
	for _, spec := range []images.Spec{images.Wasm("hello-c"), images.Wasm("hello-c").ForWASI()} {
		t.Run(spec.Platform.OS, func(t *testing.T) {
			registry := images.NewRegistry()
			defer registry.Close()
			img, err := images.Image(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := registry.Push(spec.Platform.OS+":latest", img)
			if err != nil {
				t.Fatal(err)
			}
			p := wasmPod(t, d, host)
			if _, err := d.CRIImages().PullImage(t.Context(), &criapi.PullImageRequest{
				Image:         &criapi.ImageSpec{Image: ref.String(), RuntimeHandler: daemon.Handler},
				SandboxConfig: p.config, // without it, upstream does not look at the handler
			}); err != nil {
				t.Fatal(err)
			}
			c := p.run(t, containerConfig(ref.String()))
			c.expectExit(t, 0, "Completed")
			if got := c.logs(t, "stdout"); got != "hello from C\n" {
				t.Errorf("log %q", got)
			}
		})
	}
}

// attested is an index as Docker makes it of one image: with the image's provenance, for
// a platform that does not exist.
func attested(t *testing.T, img v1.Image, platform v1.Platform) v1.ImageIndex {
	t.Helper()
	provenance, err := images.New(v1.Platform{OS: "unknown", Architecture: "unknown"}, v1.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}},
		mutate.IndexAddendum{Add: provenance, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
		}})
}

// As kubelet pulls, which does not say for which handler, by name and by digest.
func TestPullOfAnIndex(t *testing.T) {
	d := shared(t)
	for _, platform := range []v1.Platform{{OS: "wasi", Architecture: "wasm"}, {OS: "wasip1", Architecture: "wasm"}} {
		t.Run(platform.OS, func(t *testing.T) {
			registry := images.NewRegistry()
			defer registry.Close()
			spec := images.Wasm("hello-c").ForWASI()
			spec.Platform = platform
			img, err := images.Image(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			index := attested(t, img, platform)
			ref, err := registry.PushIndex("index:latest", index)
			if err != nil {
				t.Fatal(err)
			}
			digest, err := index.Digest()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{ref.String(), ref.Context().Digest(digest.String()).String()} {
				pullAndRun(t, d, name)
			}
		})
	}
}

func pullAndRun(t *testing.T, d *daemon.Daemon, name string) {
	t.Helper()
	image := &criapi.ImageSpec{Image: name}
	pulled, err := d.CRIImages().PullImage(t.Context(), &criapi.PullImageRequest{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	status, err := d.CRIImages().ImageStatus(t.Context(), &criapi.ImageStatusRequest{Image: image})
	if err != nil || status.GetImage().GetId() != pulled.GetImageRef() {
		t.Fatalf("%s is %v, pulled as %s, %v", name, status.GetImage(), pulled.GetImageRef(), err)
	}
	c := wasmPod(t, d, host).run(t, containerConfig(name))
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); got != "hello from C\n" {
		t.Errorf("log %q", got)
	}
}

// An image for neither the node nor WASI is refused as upstream does.
func TestPullOfAForeignIndex(t *testing.T) {
	d := shared(t)
	registry := images.NewRegistry()
	defer registry.Close()
	foreign := v1.Platform{OS: "linux", Architecture: "s390x"}
	img, err := images.New(foreign, v1.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := registry.PushIndex("foreign:latest", attested(t, img, foreign))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.CRIImages().PullImage(t.Context(), &criapi.PullImageRequest{Image: &criapi.ImageSpec{Image: ref.String()}})
	if err == nil || !strings.Contains(err.Error(), "no match for platform in manifest") {
		t.Errorf("got %v", err)
	}
}
