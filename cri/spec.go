// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"

	_ "github.com/containerd/containerd/v2/core/runtime" // names the type of OCI specs
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// record is the OCI spec that upstream keeps with the sandbox, where NRI's plugins
// look for the pod's namespaces. A sandbox without one makes it log an error at each
// step of each pod.
func (p *pod) record() (typeurl.Any, error) {
	spec, err := typeurl.MarshalAny(&specs.Spec{
		Version:  specs.Version,
		Hostname: p.config.GetHostname(),
		Linux:    &specs.Linux{Namespaces: p.namespaces()},
	})
	if err != nil {
		return nil, fmt.Errorf("its OCI spec: %w", err)
	}
	return spec, nil
}

// namespaces are those of the parked thread that are not the daemon's, as a pause
// container's spec names them.
func (p *pod) namespaces() []specs.LinuxNamespace {
	options := p.config.GetLinux().GetSecurityContext().GetNamespaceOptions()
	var all []specs.LinuxNamespace
	if options.GetIpc() != criapi.NamespaceMode_NODE {
		all = append(all, specs.LinuxNamespace{Type: specs.IPCNamespace})
	}
	if options.GetNetwork() != criapi.NamespaceMode_NODE {
		all = append(all, specs.LinuxNamespace{Type: specs.UTSNamespace}, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: p.netns})
	}
	return all
}
