// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"slices"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// wasiPull is the destination of one pull.
type wasiPull struct {
	*wasiStore
	found sync.Map // the image's imagespec.Descriptor, by the digest.Digest of its index
}

// forHost says whether a store is to have the image for the host's platform.
func forHost(store *image.Store) bool {
	return slices.ContainsFunc(store.Platforms(), platforms.Default().Match)
}

// ImageFilter takes the first image for WASIPlatforms of an index in which upstream's
// filter finds none. It is called for several descriptors at once.
func (p *wasiPull) ImageFilter(children images.HandlerFunc, cs content.Store) images.HandlerFunc {
	theirs := p.wasiStore.ImageFilter(children, cs)
	wasi := platforms.Ordered(WASIPlatforms...)
	ours := images.LimitManifests(images.FilterPlatforms(images.SetChildrenLabels(cs, children), wasi), wasi, 1)
	return func(ctx context.Context, desc imagespec.Descriptor) ([]imagespec.Descriptor, error) {
		found, err := theirs(ctx, desc)
		if err != nil || !images.IsIndexType(desc.MediaType) || len(found) > 0 {
			return found, err
		}
		if found, err = ours(ctx, desc); errdefs.IsNotFound(err) {
			return nil, nil // CRI says so when it looks for the image
		}
		if err != nil {
			return nil, err
		}
		// What else the index says of it is the registry's word.
		p.found.Store(desc.Digest, imagespec.Descriptor{MediaType: found[0].MediaType, Digest: found[0].Digest, Size: found[0].Size})
		return found, nil
	}
}

// Store stores the image in place of an index that has no other.
func (p *wasiPull) Store(ctx context.Context, desc imagespec.Descriptor, store images.Store) ([]images.Image, error) {
	if found, ok := p.found.Load(desc.Digest); ok {
		desc = found.(imagespec.Descriptor)
	}
	return p.wasiStore.Store(ctx, desc, store)
}
