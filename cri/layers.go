// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"google.golang.org/grpc"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Upstream looks at snapshots of the default snapshotter alone, so that statistics say
// that a container of any other has written nothing, and kubelet never evicts it. The
// calls below fill in what is missing.

// ContainerStats has what the container has written.
func (s *RuntimeService) ContainerStats(ctx context.Context, r *criapi.ContainerStatsRequest) (*criapi.ContainerStatsResponse, error) {
	answer, err := s.RuntimeServiceServer.ContainerStats(ctx, r)
	s.fillLayers(ctx, answer.GetStats())
	return answer, err
}

// ListContainerStats has what the containers have written.
func (s *RuntimeService) ListContainerStats(ctx context.Context, r *criapi.ListContainerStatsRequest) (*criapi.ListContainerStatsResponse, error) {
	answer, err := s.RuntimeServiceServer.ListContainerStats(ctx, r)
	s.fillLayers(ctx, answer.GetStats()...)
	return answer, err
}

// StreamContainerStats is ListContainerStats in parts.
func (s *RuntimeService) StreamContainerStats(r *criapi.StreamContainerStatsRequest, stream grpc.ServerStreamingServer[criapi.StreamContainerStatsResponse]) error {
	return s.RuntimeServiceServer.StreamContainerStats(r, &changedStream[criapi.StreamContainerStatsResponse]{stream, func(r *criapi.StreamContainerStatsResponse) error {
		s.fillLayers(stream.Context(), r.GetContainerStats()...)
		return nil
	}})
}

// PodSandboxStats has what the pod's containers have written.
func (s *RuntimeService) PodSandboxStats(ctx context.Context, r *criapi.PodSandboxStatsRequest) (*criapi.PodSandboxStatsResponse, error) {
	answer, err := s.RuntimeServiceServer.PodSandboxStats(ctx, r)
	s.fillPods(ctx, answer.GetStats())
	return answer, err
}

// ListPodSandboxStats has what the containers of each pod have written.
func (s *RuntimeService) ListPodSandboxStats(ctx context.Context, r *criapi.ListPodSandboxStatsRequest) (*criapi.ListPodSandboxStatsResponse, error) {
	answer, err := s.RuntimeServiceServer.ListPodSandboxStats(ctx, r)
	s.fillPods(ctx, answer.GetStats()...)
	return answer, err
}

// StreamPodSandboxStats is ListPodSandboxStats in parts.
func (s *RuntimeService) StreamPodSandboxStats(r *criapi.StreamPodSandboxStatsRequest, stream grpc.ServerStreamingServer[criapi.StreamPodSandboxStatsResponse]) error {
	return s.RuntimeServiceServer.StreamPodSandboxStats(r, &changedStream[criapi.StreamPodSandboxStatsResponse]{stream, func(r *criapi.StreamPodSandboxStatsResponse) error {
		s.fillPods(stream.Context(), r.GetPodSandboxStats()...)
		return nil
	}})
}

func (s *RuntimeService) fillPods(ctx context.Context, pods ...*criapi.PodSandboxStats) {
	for _, p := range pods {
		s.fillLayers(ctx, p.GetLinux().GetContainers()...)
	}
}

// fillLayers fills in what containers have written where upstream does not know. What
// is not known here yet stays 0, as with upstream.
func (s *RuntimeService) fillLayers(ctx context.Context, all ...*criapi.ContainerStats) {
	for _, stats := range all {
		l := stats.GetWritableLayer()
		if l == nil || l.GetTimestamp() != 0 || s.pods.config.Containers == nil {
			continue
		}
		id := stats.GetAttributes().GetId()
		usage, at := s.layers.get(id, func() (snapshots.Usage, error) { return s.layer(context.WithoutCancel(ctx), id) })
		if at.IsZero() {
			continue
		}
		l.Timestamp = at.UnixNano()
		l.UsedBytes = &criapi.UInt64Value{Value: uint64(usage.Size)}
		l.InodesUsed = &criapi.UInt64Value{Value: uint64(usage.Inodes)}
	}
}

// layer is the usage of a container's active snapshot. Errors: NotFound.
func (s *RuntimeService) layer(ctx context.Context, id string) (snapshots.Usage, error) {
	record, err := s.pods.config.Containers.Get(ctx, id)
	if err != nil {
		return snapshots.Usage{}, err
	}
	snapshotter := s.pods.config.Snapshotters[record.Snapshotter]
	if snapshotter == nil {
		return snapshots.Usage{}, fmt.Errorf("container %q: snapshotter %q: %w", id, record.Snapshotter, errdefs.ErrNotFound)
	}
	return snapshotter.Usage(ctx, record.SnapshotKey)
}

// layerAge is how long a usage is good: as long as upstream's (stats_collect_period).
const layerAge = 10 * time.Second

// layers are usages of snapshots by the container. To find one out, its whole tree is
// walked, which a guest can make as large as it likes; so that is done in the
// background, two at a time, and no call waits for it.
type layers struct {
	mu    sync.Mutex
	all   map[string]*layer
	swept time.Time
	turn  chan struct{} // has room for the walks at a time
}

type layer struct {
	usage snapshots.Usage
	at    time.Time // zero: not known
	asked time.Time
	busy  bool // being found out
}

func newLayers() layers {
	return layers{all: make(map[string]*layer), turn: make(chan struct{}, 2)}
}

// get returns what is known, and has it found out for the next call if that is old.
func (l *layers) get(id string, find func() (snapshots.Usage, error)) (snapshots.Usage, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.sweep(now)
	found := l.all[id]
	if found == nil {
		found = &layer{}
		l.all[id] = found
	}
	found.asked = now
	if !found.busy && now.Sub(found.at) >= layerAge {
		found.busy = true
		go l.update(id, found, find)
	}
	return found.usage, found.at
}

// sweep forgets those that nobody asks for any more.
func (l *layers) sweep(now time.Time) {
	if now.Sub(l.swept) < layerAge {
		return
	}
	maps.DeleteFunc(l.all, func(_ string, old *layer) bool { return !old.busy && now.Sub(old.asked) > 6*layerAge })
	l.swept = now
}

func (l *layers) update(id string, found *layer, find func() (snapshots.Usage, error)) {
	l.turn <- struct{}{}
	usage, err := find()
	<-l.turn
	l.mu.Lock()
	defer l.mu.Unlock()
	found.busy = false
	switch {
	case err == nil:
		found.usage, found.at = usage, time.Now()
	case errdefs.IsNotFound(err):
		delete(l.all, id) // it was removed
	default:
		log.L.WithError(err).WithField("id", id).Warn("statistics of a writable layer")
	}
}
