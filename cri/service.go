// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"encoding/json"

	"github.com/containerd/log"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RuntimeService is upstream's, with what differs for pods of a Controller. A call that
// it does not name goes to upstream as it is.
type RuntimeService struct {
	criapi.RuntimeServiceServer // upstream's

	images criapi.ImageServiceServer
	pods   *Controller
	layers layers
}

// NewRuntimeService sets one before upstream's services.
func NewRuntimeService(upstream criapi.RuntimeServiceServer, images criapi.ImageServiceServer, pods *Controller) *RuntimeService {
	return &RuntimeService{RuntimeServiceServer: upstream, images: images, pods: pods, layers: newLayers()}
}

// onlyModule stands for the only module in a container's root (package runtime).
const onlyModule = "/"

// CreateContainer differs for a container that has no command, neither its own nor its
// image's. Upstream refuses it, and a Linux program has to be named; but an image
// often has one module.
//
// Errors: upstream's.
func (s *RuntimeService) CreateContainer(ctx context.Context, r *criapi.CreateContainerRequest) (*criapi.CreateContainerResponse, error) {
	answer, err := s.RuntimeServiceServer.CreateContainer(ctx, r)
	if err == nil || len(r.GetConfig().GetCommand()) > 0 || len(r.GetConfig().GetArgs()) > 0 ||
		!s.isOurs(ctx, r.GetPodSandboxId()) || !s.hasNoCommand(ctx, r.GetConfig().GetImage()) {
		return answer, err
	}
	log.G(ctx).WithError(err).Debug("neither the container nor its image has a command: its only module is run")
	r = proto.CloneOf(r)
	r.Config.Command = []string{onlyModule}
	return s.RuntimeServiceServer.CreateContainer(ctx, r)
}

// isOurs finds a sandbox by its id or, as upstream does, by the beginning of it.
func (s *RuntimeService) isOurs(ctx context.Context, id string) bool {
	r, err := s.PodSandboxStatus(ctx, &criapi.PodSandboxStatusRequest{PodSandboxId: id})
	if err != nil {
		return false
	}
	_, err = s.pods.get(r.GetStatus().GetId())
	return err == nil
}

// hasNoCommand says whether an image is known to have none.
func (s *RuntimeService) hasNoCommand(ctx context.Context, image *criapi.ImageSpec) bool {
	r, err := s.images.ImageStatus(ctx, &criapi.ImageStatusRequest{Image: image, Verbose: true})
	return err == nil && r.GetImage() != nil && lacksCommand(r.GetInfo()["info"])
}

// lacksCommand reads what upstream says of an image.
func lacksCommand(info string) bool {
	// What upstream's crictl shows, under the same names.
	var known struct {
		ImageSpec *imagespec.Image `json:"imageSpec"`
	}
	if err := json.Unmarshal([]byte(info), &known); err != nil || known.ImageSpec == nil {
		return false
	}
	c := known.ImageSpec.Config
	// Upstream takes an entrypoint that is an empty string for none.
	return len(c.Cmd) == 0 && (len(c.Entrypoint) == 0 || len(c.Entrypoint) == 1 && c.Entrypoint[0] == "")
}
