// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

const nobody = 65534

// parked is the thread that holds the pod's namespaces. It has no rights.
//
// Errors: InvalidArgument: a sysctl that is not the pod's own to set;
// NotImplemented: a user namespace.
func (p *pod) parked(config Config) (*jail.Spec, error) {
	options := p.config.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if options.GetUsernsOptions().GetMode() == criapi.NamespaceMode_POD && options.GetUsernsOptions() != nil {
		return nil, fmt.Errorf("a user namespace: a pod of WebAssembly guests cannot have one: %w", errdefs.ErrNotImplemented)
	}
	hostNetwork := options.GetNetwork() == criapi.NamespaceMode_NODE
	spec := &jail.Spec{
		NetNS: p.netns,
		// As upstream: with the host's network comes the host's name.
		NewUTS: !hostNetwork,
		NewIPC: options.GetIpc() != criapi.NamespaceMode_NODE,
		UID:    nobody,
		GID:    nobody,
	}
	if spec.NewUTS {
		spec.Hostname = p.config.GetHostname()
	}
	sysctls := podSysctls(config, p.config.GetLinux().GetSysctls(), hostNetwork)
	for _, name := range sortedKeys(sysctls) {
		path, err := sysctlPath(name, !hostNetwork, spec.NewIPC)
		if err != nil {
			return nil, err
		}
		spec.Sysctls = append(spec.Sysctls, jail.Sysctl{Path: path, Value: sysctls[name]})
	}
	return spec, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// podSysctls adds to the pod's own what the configuration gives to every pod
// with a network of its own, as upstream does.
func podSysctls(config Config, own map[string]string, hostNetwork bool) map[string]string {
	all := make(map[string]string, len(own)+2)
	if config.UnprivilegedPorts && !hostNetwork {
		all["net.ipv4.ip_unprivileged_port_start"] = "0"
	}
	if config.UnprivilegedICMP && !hostNetwork {
		all["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for name, value := range own {
		all[name] = value
	}
	return all
}

// ipcSysctls belong to an IPC namespace (ipc_namespaces(7)).
var ipcSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
	"kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
}

// sysctlPath is the file of a sysctl which belongs to a namespace of the pod;
// any other would change the host.
func sysctlPath(name string, ownNetwork, ownIPC bool) (string, error) {
	path := strings.ReplaceAll(name, ".", "/")
	for _, element := range strings.Split(path, "/") {
		if element == "" {
			return "", fmt.Errorf("sysctl %q is malformed: %w", name, errdefs.ErrInvalidArgument)
		}
	}
	dotted := strings.ReplaceAll(path, "/", ".")
	isIPC := slices.Contains(ipcSysctls, dotted) || strings.HasPrefix(dotted, "fs.mqueue.")
	switch {
	case strings.HasPrefix(dotted, "net.") && ownNetwork, isIPC && ownIPC:
		return "/proc/sys/" + path, nil
	default:
		return "", fmt.Errorf("sysctl %q is not one of a namespace of the pod: %w", name, errdefs.ErrInvalidArgument)
	}
}
