// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"

	apitypes "github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// mountOptions are those that guests can have, and that mountOption knows. CRI allows
// recursive read-only mounts with a handler whose runtime lists "rro".
var mountOptions = []string{
	"bind", "defaults", "dev", "exec", "noatime", "nodev", "nodiratime", "noexec", "nosuid", "private",
	"rbind", "relatime", "ro", "rprivate", "rro", "rw", "strictatime", "suid", "tmpcopyup",
}

// ownInfo answers introspection about runtime Name, as a shim does that is run
// with -info.
func ownInfo() (*apitypes.RuntimeInfo, error) {
	f, err := typeurl.MarshalAnyToProto(&features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		MountOptions:  mountOptions,
	})
	if err != nil {
		return nil, fmt.Errorf("describing runtime %s: %w", Name, err)
	}
	return &apitypes.RuntimeInfo{Name: Name, Features: f}, nil
}

// withPluginInfo gives ours the method by which introspection asks upstream's task
// plugin about runtimes. own answers about runtime Name; without it there is none.
func withPluginInfo(upstream, ours runtime.PlatformRuntime, own func() (*apitypes.RuntimeInfo, error)) runtime.PlatformRuntime {
	if p, ok := upstream.(pluginInfoProvider); ok {
		return &runtimeWithInfo{ours, p, own}
	}
	return ours
}

type pluginInfoProvider interface {
	PluginInfo(ctx context.Context, request any) (any, error)
}

type runtimeWithInfo struct {
	runtime.PlatformRuntime
	upstream pluginInfoProvider
	own      func() (*apitypes.RuntimeInfo, error)
}

func (r *runtimeWithInfo) PluginInfo(ctx context.Context, request any) (any, error) {
	if req, ok := request.(*apitypes.RuntimeRequest); ok && req.GetRuntimePath() == Name && r.own != nil {
		return r.own()
	}
	return r.upstream.PluginInfo(ctx, request)
}
