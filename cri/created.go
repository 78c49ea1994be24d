// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// undated is the zero time as upstream gives it to clients.
var undated = time.Time{}.UnixNano()

// ListPodSandbox differs for pods of an earlier daemon. Upstream keeps the time of
// their creation only for its own controller, and lists others as of the year 1754;
// kubelet takes the one that was created last for a pod's present sandbox.
func (s *RuntimeService) ListPodSandbox(ctx context.Context, r *criapi.ListPodSandboxRequest) (*criapi.ListPodSandboxResponse, error) {
	answer, err := s.RuntimeServiceServer.ListPodSandbox(ctx, r)
	if err != nil {
		return answer, err
	}
	return answer, s.date(ctx, answer.GetItems())
}

// StreamPodSandboxes is ListPodSandbox in parts.
func (s *RuntimeService) StreamPodSandboxes(r *criapi.StreamPodSandboxesRequest, stream grpc.ServerStreamingServer[criapi.StreamPodSandboxesResponse]) error {
	return s.RuntimeServiceServer.StreamPodSandboxes(r, &changedStream[criapi.StreamPodSandboxesResponse]{stream, func(r *criapi.StreamPodSandboxesResponse) error {
		return s.date(stream.Context(), r.GetPodSandboxes())
	}})
}

// changedStream changes what is sent to a client.
type changedStream[T any] struct {
	grpc.ServerStreamingServer[T]
	change func(*T) error
}

func (s *changedStream[T]) Send(r *T) error {
	if err := s.change(r); err != nil {
		return err
	}
	return s.ServerStreamingServer.Send(r)
}

// date fills in the times that are missing. A pod without a record is being removed.
func (s *RuntimeService) date(ctx context.Context, pods []*criapi.PodSandbox) error {
	var created map[string]int64
	for _, p := range pods {
		if p.GetCreatedAt() != undated || s.pods.config.Records == nil {
			continue
		}
		if created == nil {
			var err error
			if created, err = s.created(ctx); err != nil {
				return err
			}
		}
		p.CreatedAt = created[p.GetId()]
	}
	return nil
}

// created is when sandboxes were created, by their ids, in ns since the epoch.
func (s *RuntimeService) created(ctx context.Context) (map[string]int64, error) {
	records, err := s.pods.config.Records.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("when sandboxes were created: %w", err)
	}
	times := make(map[string]int64, len(records))
	for _, r := range records {
		times[r.ID] = r.CreatedAt.UnixNano()
	}
	return times, nil
}
