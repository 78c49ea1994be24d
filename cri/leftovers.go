// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/netns"
	"github.com/containerd/log"
	"github.com/containerd/typeurl/v2"
)

// criNamespace is where upstream's CRI service keeps all that is its own.
const criNamespace = "k8s.io"

// Leftovers are what upstream's CRI service leaves of pods and containers that were being
// made when the daemon was killed, of any handler: it makes a lease before the record of
// either, a network namespace before the pod's record names it, and a snapshot before the
// container's. No kubelet can know of them.
type Leftovers struct {
	Sandboxes  sandbox.Store
	Containers containers.Store
	Leases     leases.Manager
	// NetNSDir has no other network namespaces than those of CRI's pods. Empty:
	// there is no such directory; /run/netns is shared with others.
	NetNSDir string
}

// Remove is for the start of the daemon, before there are requests.
//
// Errors: those of reading what there is. It then removes nothing that is in doubt.
func (l Leftovers) Remove(ctx context.Context) error {
	ctx = namespaces.WithNamespace(ctx, criNamespace)
	ids, names, err := l.known(ctx)
	if err != nil {
		return fmt.Errorf("reading the records of pods: %w", err)
	}
	return errors.Join(l.removeLeases(ctx, ids), l.removeNetNS(ctx, names))
}

// The keys of what upstream's CRI service knows of a sandbox, in a sandbox's record
// and in that of a pause container (crilabels.SandboxMetadataExtension).
const (
	metadataExtension      = "metadata"
	pauseMetadataExtension = "io.cri-containerd.sandbox.metadata"
)

// known returns the ids of all sandboxes and containers, and the names of pods' network
// namespaces. No two have the same name, but one directory may have several paths.
func (l Leftovers) known(ctx context.Context) (ids, names map[string]bool, err error) {
	ids, names = make(map[string]bool), make(map[string]bool)
	add := func(id string, metadata typeurl.Any) error {
		ids[id] = true
		if metadata == nil {
			return nil
		}
		var versioned struct{ Metadata struct{ NetNSPath string } }
		if err := json.Unmarshal(metadata.GetValue(), &versioned); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
		names[filepath.Base(versioned.Metadata.NetNSPath)] = true
		return nil
	}
	sandboxes, err := l.Sandboxes.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range sandboxes {
		if err := add(s.ID, s.Extensions[metadataExtension]); err != nil {
			return nil, nil, err
		}
	}
	all, err := l.Containers.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		if err := add(c.ID, c.Extensions[pauseMetadataExtension]); err != nil {
			return nil, nil, err
		}
	}
	return ids, names, nil
}

// criID is what ids of sandboxes and containers look like; so what is another client's
// is not taken for theirs.
var criID = regexp.MustCompile("^[0-9a-f]{64}$")

// expiry is the label of a lease that ends by itself, a day after a client made it;
// randomID is what the ids of such leases look like (leases.WithRandomID).
const expiry = "containerd.io/gc.expire"

var randomID = regexp.MustCompile("^[0-9]+-[0-9A-Za-z_-]{4}$")

// isLeftover says whether nobody will end a lease: that of a pod without a record, which
// has its id and holds nothing yet, or that of a container, which holds its snapshot at
// most. If the container has a record, that keeps the snapshot.
func (l Leftovers) isLeftover(ctx context.Context, lease leases.Lease, recorded map[string]bool) (bool, error) {
	_, expires := lease.Labels[expiry]
	ofPod := len(lease.Labels) == 0 && criID.MatchString(lease.ID) && !recorded[lease.ID]
	ofContainer := expires && len(lease.Labels) == 1 && randomID.MatchString(lease.ID)
	if !ofPod && !ofContainer {
		return false, nil
	}
	held, err := l.Leases.ListResources(ctx, lease)
	return err == nil && !slices.ContainsFunc(held, func(r leases.Resource) bool {
		return ofPod || !strings.HasPrefix(r.Type, "snapshots/") || !criID.MatchString(r.ID)
	}), err
}

// removeLeases removes those that are left over, and so what they hold.
func (l Leftovers) removeLeases(ctx context.Context, recorded map[string]bool) error {
	all, err := l.Leases.List(ctx)
	if err != nil {
		return fmt.Errorf("listing leases: %w", err)
	}
	for _, lease := range all {
		left, err := l.isLeftover(ctx, lease, recorded)
		if err == nil && !left {
			continue
		}
		if err == nil {
			err = l.Leases.Delete(ctx, lease)
		}
		if err != nil {
			return fmt.Errorf("lease %q of what was never made: %w", lease.ID, err)
		}
		log.G(ctx).WithField("id", lease.ID).Debug("removed the lease of what was never made")
	}
	return nil
}

// removeNetNS removes network namespaces that no record names.
func (l Leftovers) removeNetNS(ctx context.Context, known map[string]bool) error {
	if l.NetNSDir == "" {
		return nil
	}
	entries, err := os.ReadDir(l.NetNSDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		if known[e.Name()] {
			continue
		}
		path := filepath.Join(l.NetNSDir, e.Name())
		if err := netns.LoadNetNS(path).Remove(); err != nil {
			return fmt.Errorf("network namespace %q of a pod that was never made: %w", path, err)
		}
		log.G(ctx).WithField("path", path).Info("removed the network namespace of a pod that was never made")
	}
	return nil
}
