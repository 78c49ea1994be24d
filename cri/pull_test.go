// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"testing"

	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/platforms"
)

type recorder struct{ destination any }

func (r *recorder) Transfer(_ context.Context, _, destination any, _ ...transfer.Opt) error {
	r.destination = destination
	return nil
}

func TestUnpackWASI(t *testing.T) {
	var r recorder
	wasi := UnpackWASI(&r, "wasm")
	store := image.NewStore("name", image.WithUnpack(platforms.DefaultSpec(), "overlayfs"))
	if err := wasi.Transfer(t.Context(), nil, store); err != nil {
		t.Fatal(err)
	}
	unpacks := r.destination.(transfer.ImageUnpacker).UnpackPlatforms()
	var got []string
	for _, u := range unpacks {
		got = append(got, platforms.Format(u.Platform)+" "+u.Snapshotter)
	}
	want := []string{platforms.DefaultString() + " overlayfs", "wasi/wasm wasm", "wasip1/wasm wasm"}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Fatalf("unpacks %q, want %q", got, want)
	}
	if _, ok := r.destination.(transfer.ImageStorer); !ok {
		t.Fatal("the destination cannot store an image any more")
	}
}

func TestTransfersThatUnpackNothingStayAsTheyAre(t *testing.T) {
	var r recorder
	wasi := UnpackWASI(&r, "wasm")
	for _, destination := range []any{image.NewStore("name"), "another"} {
		if err := wasi.Transfer(t.Context(), nil, destination); err != nil || r.destination != destination {
			t.Errorf("%T became %T, %v", destination, r.destination, err)
		}
	}
}
