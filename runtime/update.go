// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"

	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Update changes what the container's guests may have: the limit of linear memory, and
// CPU time. Other resources have no effect, as at Create. All of it is changed, or none.
//
// Errors: InvalidArgument: no resources, or malformed ones; NotImplemented: what a
// thread cannot have; FailedPrecondition: the container has ended, or has more memory
// than the new limit.
func (t *task) Update(_ context.Context, resources *ptypes.Any, _ map[string]string) error {
	if err := t.update(resources); err != nil {
		return fmt.Errorf("updating task %q: %w", t.key.id, err)
	}
	return nil
}

func (t *task) update(resources *ptypes.Any) error {
	r, err := parseResources(resources)
	if err != nil {
		return err
	}
	t.starting.Lock() // for one at a time
	defer t.starting.Unlock()
	if t.over() {
		return fmt.Errorf("it has ended: %w", errdefs.ErrFailedPrecondition)
	}
	before := t.limit.Load()
	limit, err := newLimit(before, r.Memory)
	if err != nil {
		return err
	}
	if err := t.guest.SetMemoryLimit(limit); err != nil {
		return err
	}
	if err := t.group.Update(r); err != nil {
		_ = t.guest.SetMemoryLimit(before) // what it has grown to since stays
		return err
	}
	t.limit.Store(limit)
	return nil
}

// Errors: InvalidArgument.
func parseResources(resources *ptypes.Any) (*specs.LinuxResources, error) {
	if resources == nil {
		return nil, fmt.Errorf("no resources: %w", errdefs.ErrInvalidArgument)
	}
	var r specs.LinuxResources
	if err := typeurl.UnmarshalTo(resources, &r); err != nil {
		return nil, fmt.Errorf("the resources: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	return &r, nil
}
