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
	var r specs.LinuxResources
	if resources == nil {
		return fmt.Errorf("no resources: %w", errdefs.ErrInvalidArgument)
	}
	if err := typeurl.UnmarshalTo(resources, &r); err != nil {
		return fmt.Errorf("the resources: %w: %w", err, errdefs.ErrInvalidArgument)
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
	if err := t.group.Update(&r); err != nil {
		_ = t.guest.SetMemoryLimit(before) // what it has grown to since stays
		return err
	}
	t.limit.Store(limit)
	return nil
}

// newLimit is the memory limit in bytes after what was there before, 0 for none: -1
// lifts it, and 0 leaves it, as in the OCI runtime specification and CRI.
//
// Errors: InvalidArgument.
func newLimit(before uint64, m *specs.LinuxMemory) (uint64, error) {
	switch {
	case m == nil || m.Limit == nil || *m.Limit == 0:
		return before, nil
	case *m.Limit == -1:
		return 0, nil
	case *m.Limit < 0:
		return 0, fmt.Errorf("linux.resources.memory.limit %d: %w", *m.Limit, errdefs.ErrInvalidArgument)
	}
	return uint64(*m.Limit), nil
}
