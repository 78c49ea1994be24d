// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"

	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/core/transfer/image"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// WASIPlatforms are the platforms under which images of WebAssembly modules
// are built, besides that of the host.
var WASIPlatforms = []imagespec.Platform{
	{OS: "wasi", Architecture: "wasm"},
	{OS: "wasip1", Architecture: "wasm"},
}

// UnpackWASI returns a transfer service that unpacks images for WASIPlatforms
// into the snapshotter, in addition to what it is asked for.
//
// CRI asks for the host's platform only, when it pulls and again when it finds
// an image not unpacked as it creates a container. An image for wasi/wasm would
// be pulled without an error, and never be unpacked. Asking for one platform
// more has no effect on any other image.
//
// Nor does CRI find such an image in an index, which is what Docker makes of it and its
// provenance. If a pull for the host's platform finds none for that in an index, it
// stores the one for WASIPlatforms in the index's place.
func UnpackWASI(upstream transfer.Transferrer, snapshotter string) transfer.Transferrer {
	return &wasiTransferrer{upstream, snapshotter}
}

type wasiTransferrer struct {
	transfer.Transferrer
	snapshotter string
}

func (t *wasiTransferrer) Transfer(ctx context.Context, source, destination any, opts ...transfer.Opt) error {
	// A transfer that unpacks nothing is to stay one.
	if store, ok := destination.(*image.Store); ok && len(store.UnpackPlatforms()) > 0 {
		wasi := &wasiStore{store, t.snapshotter}
		destination = wasi
		if _, pulls := source.(transfer.ImageFetcher); pulls && forHost(store) {
			destination = &wasiPull{wasiStore: wasi}
		}
	}
	return t.Transferrer.Transfer(ctx, source, destination, opts...)
}

// imageStore is embedded under this name, as its own would hide its method
// Store.
type imageStore = image.Store

// wasiStore is an image store with more to unpack.
type wasiStore struct {
	*imageStore
	snapshotter string
}

func (s *wasiStore) UnpackPlatforms() []transfer.UnpackConfiguration {
	all := s.imageStore.UnpackPlatforms()
	for _, p := range WASIPlatforms {
		all = append(all, transfer.UnpackConfiguration{Platform: p, Snapshotter: s.snapshotter})
	}
	return all
}
