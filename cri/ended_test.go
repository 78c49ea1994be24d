// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestStatusOfEarlierSandboxes(t *testing.T) {
	db, ctx := newDB(t)
	c := New(Config{Records: metadata.NewSandboxStore(db), RuntimeType: "r"})
	config := map[string]any{"metadata": map[string]any{"name": "web"}}
	for id, tc := range map[string]struct {
		ext  *anypb.Any
		name string
	}{
		"readable": {ofMetadata(t, map[string]any{"Config": config, "CNIResult": map[string]any{}}), "web"},
		"garbage":  {raw("x", []byte("\x00{")), ""},
		"empty":    {raw("x", nil), ""},
	} {
		record := addRecord(ctx, t, db, id, tc.ext)
		s, err := c.Status(ctx, id, true)
		if err != nil || s.State != "SANDBOX_NOTREADY" || !s.CreatedAt.Equal(record.CreatedAt) || s.Pid != 0 {
			t.Errorf("%s: status %+v, %v", id, s, err)
		}
		var info struct{ Config *criapi.PodSandboxConfig }
		if err := json.Unmarshal([]byte(s.Info["info"]), &info); err != nil || info.Config.GetMetadata().GetName() != tc.name {
			t.Errorf("%s: info %q, %v", id, s.Info["info"], err)
		}
	}
	addRecord(ctx, t, db, "bare", nil)
	if s, err := c.Status(ctx, "bare", true); err != nil || s.Info["info"] == "" {
		t.Errorf("without an extension: %+v, %v", s, err)
	}
	if _, err := c.Status(ctx, "unknown", false); !errdefs.IsNotFound(err) {
		t.Errorf("of none: %v", err)
	}
}

// A pod has the time of its record, also for upstream before a restart.
func TestCreatedAt(t *testing.T) {
	c := New(Config{})
	record := time.Unix(1e9, 5)
	for id, want := range map[string]time.Time{"own": record, "host": {}} {
		begin := time.Now()
		if err := c.Create(t.Context(), sandbox.Sandbox{ID: id, CreatedAt: want}); err != nil {
			t.Fatal(err)
		}
		s, err := c.Status(t.Context(), id, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CreatedAt; want.IsZero() && (got.Before(begin) || got.After(time.Now())) || !want.IsZero() && !got.Equal(want) {
			t.Errorf("%s: created at %v", id, got)
		}
	}
}

// lister is upstream's service, with pods of one list.
type lister struct {
	criapi.UnimplementedRuntimeServiceServer
	pods []*criapi.PodSandbox
	err  error
}

func (l *lister) ListPodSandbox(context.Context, *criapi.ListPodSandboxRequest) (*criapi.ListPodSandboxResponse, error) {
	return &criapi.ListPodSandboxResponse{Items: l.pods}, l.err
}

func (l *lister) StreamPodSandboxes(_ *criapi.StreamPodSandboxesRequest, stream grpc.ServerStreamingServer[criapi.StreamPodSandboxesResponse]) error {
	return stream.Send(&criapi.StreamPodSandboxesResponse{PodSandboxes: l.pods})
}

type received[T any] struct {
	grpc.ServerStreamingServer[T]
	ctx context.Context
	all []*T
}

func (r *received[T]) Context() context.Context { return r.ctx }
func (r *received[T]) Send(m *T) error          { r.all = append(r.all, m); return nil }

func TestListedPodsHaveTheTimeOfTheirCreation(t *testing.T) {
	db, ctx := newDB(t)
	record := addRecord(ctx, t, db, "old", nil)
	pods := func() []*criapi.PodSandbox {
		return []*criapi.PodSandbox{
			{Id: "old", CreatedAt: time.Time{}.UnixNano()},
			{Id: "new", CreatedAt: 7},
			{Id: "being removed", CreatedAt: time.Time{}.UnixNano()},
		}
	}
	expect := func(how string, got []*criapi.PodSandbox) {
		t.Helper()
		for i, want := range []int64{record.CreatedAt.UnixNano(), 7, 0} {
			if got[i].GetCreatedAt() != want {
				t.Errorf("%s: pod %q of %d, want %d", how, got[i].GetId(), got[i].GetCreatedAt(), want)
			}
		}
	}
	upstream := &lister{pods: pods()}
	s := NewRuntimeService(upstream, nil, New(Config{Records: metadata.NewSandboxStore(db)}))
	r, err := s.ListPodSandbox(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect("listed", r.GetItems())
	upstream.pods = pods()
	stream := &received[criapi.StreamPodSandboxesResponse]{ctx: ctx}
	if err := s.StreamPodSandboxes(nil, stream); err != nil {
		t.Fatal(err)
	}
	expect("streamed", stream.all[0].GetPodSandboxes())

	upstream.pods = pods()
	without := NewRuntimeService(upstream, nil, New(Config{}))
	if r, err := without.ListPodSandbox(ctx, nil); err != nil || len(r.GetItems()) != 3 {
		t.Errorf("where there are no records: %v, %v", r, err)
	}
	upstream.err = errors.New("down")
	if _, err := s.ListPodSandbox(ctx, nil); !errors.Is(err, upstream.err) {
		t.Errorf("upstream's error became %v", err)
	}
}
