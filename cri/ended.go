// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ended is the status of a sandbox that this controller does not hold: one of an
// earlier daemon, or one that is being removed. Upstream knows it by its record.
//
// With NotFound instead, upstream would report that it was created in the year 1754,
// and kubelet takes for the last sandbox of a pod the one that was created last.
//
// Errors: NotFound: there is no record.
func (c *Controller) ended(ctx context.Context, id string, verbose bool) (sandbox.ControllerStatus, error) {
	if c.config.Records == nil {
		return sandbox.ControllerStatus{}, fmt.Errorf("sandbox %q: %w", id, errdefs.ErrNotFound)
	}
	record, err := c.config.Records.Get(ctx, id)
	if err != nil {
		return sandbox.ControllerStatus{}, fmt.Errorf("sandbox %q: %w", id, err)
	}
	s := sandbox.ControllerStatus{
		SandboxID: id,
		State:     criapi.PodSandboxState_SANDBOX_NOTREADY.String(),
		CreatedAt: record.CreatedAt,
	}
	if !verbose {
		return s, nil
	}
	info := podInfo{Status: "deleted", RuntimeType: c.config.RuntimeType}
	info.fill(record.Extensions[metadataExtension])
	b, err := json.Marshal(info)
	if err != nil {
		return s, fmt.Errorf("describing sandbox %q: %w", id, err)
	}
	s.Info = map[string]string{"info": string(b)}
	return s, nil
}

// fill takes over what is for humans alone to see, so that one that it cannot read is
// left out.
func (i *podInfo) fill(metadata typeurl.Any) {
	if metadata == nil {
		return
	}
	var versioned struct {
		Metadata struct {
			Config    *criapi.PodSandboxConfig
			CNIResult json.RawMessage
		}
	}
	if err := json.Unmarshal(metadata.GetValue(), &versioned); err != nil {
		return
	}
	i.Config, i.CNIResult, i.Metadata = versioned.Metadata.Config, versioned.Metadata.CNIResult, metadata.GetValue()
}
