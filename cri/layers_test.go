// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// layerStats is what upstream says of a container whose snapshot it does not look at.
func layerStats(id string) *criapi.ContainerStats {
	return &criapi.ContainerStats{
		Attributes:    &criapi.ContainerAttributes{Id: id},
		WritableLayer: &criapi.FilesystemUsage{UsedBytes: &criapi.UInt64Value{}},
	}
}

// fakeContainers are all that are asked for, but one.
type fakeContainers struct{ containers.Store }

func (fakeContainers) Get(_ context.Context, id string) (containers.Container, error) {
	if id == "gone" {
		return containers.Container{}, fmt.Errorf("container %q: %w", id, errdefs.ErrNotFound)
	}
	return containers.Container{ID: id, Snapshotter: id, SnapshotKey: id}, nil
}

// fakeLayers are what they have written.
type fakeLayers struct {
	snapshots.Snapshotter
	usage snapshots.Usage
	err   error
	walks int
}

func (f *fakeLayers) Usage(context.Context, string) (snapshots.Usage, error) {
	f.walks++
	return f.usage, f.err
}

func (f *fakeLayers) service() *RuntimeService {
	return NewRuntimeService(nil, nil, New(Config{
		Containers: fakeContainers{}, Snapshotters: map[string]snapshots.Snapshotter{"a": f},
	}))
}

func TestUsageOfLayers(t *testing.T) {
	f := &fakeLayers{usage: snapshots.Usage{Size: 10, Inodes: 2}}
	s := f.service()
	synctest.Test(t, func(t *testing.T) {
		// ask returns what is said now, and lets the background finish.
		ask := func(id string) (bytes, inodes uint64, known bool) {
			stats := layerStats(id)
			s.fillLayers(t.Context(), stats)
			synctest.Wait()
			l := stats.GetWritableLayer()
			return l.GetUsedBytes().GetValue(), l.GetInodesUsed().GetValue(), l.GetTimestamp() != 0
		}
		if _, _, known := ask("a"); known {
			t.Error("the first call waited for the walk")
		}
		if bytes, inodes, known := ask("a"); bytes != 10 || inodes != 2 || !known {
			t.Errorf("got %d, %d, %t", bytes, inodes, known)
		}
		f.usage.Size = 20
		ask("a")
		if bytes, _, _ := ask("a"); bytes != 10 || f.walks != 1 {
			t.Errorf("%d bytes after %d walks", bytes, f.walks)
		}
		time.Sleep(layerAge)
		ask("a")
		if bytes, _, _ := ask("a"); bytes != 20 || f.walks != 2 {
			t.Errorf("later, %d bytes after %d walks", bytes, f.walks)
		}
		f.err = errors.New("broken")
		time.Sleep(layerAge)
		ask("a")
		if bytes, _, known := ask("a"); bytes != 20 || !known {
			t.Errorf("after an error %d bytes, known %t", bytes, known)
		}
		for _, id := range []string{"gone", "of no snapshotter"} {
			ask(id)
			if _, _, known := ask(id); known {
				t.Errorf("%s is known", id)
			}
		}
		time.Sleep(time.Hour)
		ask("gone")
		if len(s.layers.all) != 0 {
			t.Errorf("what nobody asks for is kept: %v", s.layers.all)
		}
	})
}

// What upstream knows is left as it is, and what it does not say does not become
// something else.
func TestKnownLayersAreLeft(t *testing.T) {
	f := &fakeLayers{}
	known := layerStats("a")
	known.WritableLayer.Timestamp, known.WritableLayer.UsedBytes.Value = 1, 5
	f.service().fillLayers(t.Context(), known, nil, &criapi.ContainerStats{})
	NewRuntimeService(nil, nil, New(Config{})).fillLayers(t.Context(), layerStats("a"))
	if f.walks != 0 || known.GetWritableLayer().GetUsedBytes().GetValue() != 5 {
		t.Errorf("%d walks, %v", f.walks, known)
	}
}

// A tree that takes long to walk holds up no call, and not all other trees.
func TestSlowLayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLayers()
		release := make(chan struct{})
		slow := func() (snapshots.Usage, error) { <-release; return snapshots.Usage{Size: 1}, nil }
		quick := func() (snapshots.Usage, error) { return snapshots.Usage{Size: 2}, nil }
		l.get("slow", slow)
		l.get("quick", quick)
		synctest.Wait()
		if usage, _ := l.get("quick", quick); usage.Size != 2 {
			t.Errorf("beside a slow one: %v", usage)
		}
		if _, at := l.get("slow", slow); !at.IsZero() {
			t.Error("a walk that is not done is known")
		}
		close(release)
		synctest.Wait()
		if usage, _ := l.get("slow", slow); usage.Size != 1 {
			t.Errorf("after the walk: %v", usage)
		}
	})
}
