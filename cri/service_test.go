// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/sandbox"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// upstreamServices create containers that have a command, and know one image and the
// beginnings of sandboxes' ids.
type upstreamServices struct {
	criapi.UnimplementedRuntimeServiceServer
	criapi.UnimplementedImageServiceServer

	info     string // of the image
	failing  error  // of every container
	requests []*criapi.CreateContainerRequest
	statuses int // of images and sandboxes
}

var errNoCommand = errors.New("no command specified")

func (u *upstreamServices) CreateContainer(_ context.Context, r *criapi.CreateContainerRequest) (*criapi.CreateContainerResponse, error) {
	u.requests = append(u.requests, r)
	if u.failing != nil {
		return nil, u.failing
	}
	if len(r.GetConfig().GetCommand())+len(r.GetConfig().GetArgs()) == 0 {
		return nil, errNoCommand
	}
	return &criapi.CreateContainerResponse{ContainerId: "c"}, nil
}

func (u *upstreamServices) PodSandboxStatus(_ context.Context, r *criapi.PodSandboxStatusRequest) (*criapi.PodSandboxStatusResponse, error) {
	u.statuses++
	for _, id := range []string{"ours-1", "theirs"} {
		if r.GetPodSandboxId() != "" && len(r.GetPodSandboxId()) <= len(id) && id[:len(r.GetPodSandboxId())] == r.GetPodSandboxId() {
			return &criapi.PodSandboxStatusResponse{Status: &criapi.PodSandboxStatus{Id: id}}, nil
		}
	}
	return nil, errors.New("no such sandbox")
}

func (u *upstreamServices) ImageStatus(_ context.Context, r *criapi.ImageStatusRequest) (*criapi.ImageStatusResponse, error) {
	u.statuses++
	switch {
	case r.GetImage().GetImage() == "broken":
		return nil, errors.New("no such image")
	case r.GetImage().GetImage() != "image" || !r.GetVerbose():
		return &criapi.ImageStatusResponse{}, nil
	}
	return &criapi.ImageStatusResponse{Image: &criapi.Image{Id: "i"}, Info: map[string]string{"info": u.info}}, nil
}

func imageInfo(t *testing.T, entrypoint, cmd []string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"imageSpec": imagespec.Image{Config: imagespec.ImageConfig{Entrypoint: entrypoint, Cmd: cmd}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContainersWithoutACommand(t *testing.T) {
	none := imageInfo(t, nil, nil)
	for desc, tc := range map[string]struct {
		pod, image, info string
		command, args    []string
		failing          error
		want             []string // the commands of upstream's calls
		created          bool
	}{
		"no command":             {"ours-1", "image", none, nil, nil, nil, []string{"", "/"}, true},
		"an empty entrypoint":    {"ours-1", "image", imageInfo(t, []string{""}, nil), nil, nil, nil, []string{"", "/"}, true},
		"the beginning of an id": {"ours", "image", none, nil, nil, nil, []string{"", "/"}, true},
		"a command":              {"ours-1", "image", none, []string{"/app"}, nil, nil, []string{"/app"}, true},
		"arguments":              {"ours-1", "image", none, nil, []string{"x"}, nil, []string{""}, true},
		"the image's entrypoint": {"ours-1", "image", imageInfo(t, []string{"/app"}, nil), nil, nil, nil, []string{""}, false},
		"the image's command":    {"ours-1", "image", imageInfo(t, nil, []string{"/app"}), nil, nil, nil, []string{""}, false},
		"another pod":            {"theirs", "image", none, nil, nil, nil, []string{""}, false},
		"no such pod":            {"x", "image", none, nil, nil, nil, []string{""}, false},
		"no pod":                 {"", "image", none, nil, nil, nil, []string{""}, false},
		"no such image":          {"ours-1", "none", none, nil, nil, nil, []string{""}, false},
		"an error of the image":  {"ours-1", "broken", none, nil, nil, nil, []string{""}, false},
		"no information":         {"ours-1", "image", "", nil, nil, nil, []string{""}, false},
		"other information":      {"ours-1", "image", `{"imageSpec": 7}`, nil, nil, nil, []string{""}, false},
		"no configuration":       {"ours-1", "image", `{}`, nil, nil, nil, []string{""}, false},
		"another error":          {"ours-1", "image", none, nil, nil, errors.New("broken"), []string{"", "/"}, false},
		"an error of a command":  {"ours-1", "image", none, []string{"/app"}, nil, errors.New("broken"), []string{"/app"}, false},
	} {
		t.Run(desc, func(t *testing.T) {
			pods := New(Config{})
			if err := pods.Create(t.Context(), sandbox.Sandbox{ID: "ours-1"}); err != nil {
				t.Fatal(err)
			}
			u := &upstreamServices{info: tc.info, failing: tc.failing}
			r := &criapi.CreateContainerRequest{
				PodSandboxId: tc.pod,
				Config:       &criapi.ContainerConfig{Image: &criapi.ImageSpec{Image: tc.image}, Command: tc.command, Args: tc.args},
			}
			before := proto.CloneOf(r)
			answer, err := NewRuntimeService(u, u, pods).CreateContainer(t.Context(), r)
			if (err == nil) != tc.created || err == nil && answer.GetContainerId() != "c" {
				t.Errorf("got %v, %v", answer, err)
			}
			if err != nil && tc.failing == nil && !errors.Is(err, errNoCommand) {
				t.Errorf("the error is not upstream's: %v", err)
			}
			var got []string
			for _, r := range u.requests {
				got = append(got, append(r.GetConfig().GetCommand(), "")[0])
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("upstream was asked for %q, want %q", got, tc.want)
			}
			if !proto.Equal(r, before) {
				t.Errorf("the client's request was changed: %v", r)
			}
			if err == nil && len(got) == 1 && u.statuses != 0 {
				t.Errorf("%d more calls for a container that was created", u.statuses)
			}
		})
	}
}

func TestEmptyRequest(t *testing.T) {
	u := &upstreamServices{}
	if _, err := NewRuntimeService(u, u, New(Config{})).CreateContainer(t.Context(), &criapi.CreateContainerRequest{}); !errors.Is(err, errNoCommand) {
		t.Errorf("got %v", err)
	}
}
