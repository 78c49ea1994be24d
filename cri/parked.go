// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"maps"
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
		// CRI brings one; without, the pod's sysctls would be the host's.
		NewNetNS: !hostNetwork && p.netns == "",
		// As upstream: with the host's network comes the host's name.
		NewUTS: !hostNetwork,
		NewIPC: options.GetIpc() != criapi.NamespaceMode_NODE,
		UID:    nobody,
		GID:    nobody,
	}
	if spec.NewUTS {
		spec.Hostname = p.config.GetHostname()
	}
	own, err := ownSysctls(p.config.GetLinux().GetSysctls(), !hostNetwork, spec.NewIPC)
	if err != nil {
		return nil, err
	}
	if !hostNetwork {
		addDefaults(own, config)
	}
	for _, path := range slices.Sorted(maps.Keys(own)) {
		spec.Sysctls = append(spec.Sysctls, jail.Sysctl{Path: path, Value: own[path]})
	}
	return spec, nil
}

// ownSysctls are the pod's, by path.
func ownSysctls(sysctls map[string]string, ownNetwork, ownIPC bool) (map[string]string, error) {
	byPath := make(map[string]string)
	for name, value := range sysctls {
		path, err := sysctlPath(name, ownNetwork, ownIPC)
		if err != nil {
			return nil, err
		}
		if _, twice := byPath[path]; twice {
			return nil, fmt.Errorf("sysctl %q is there twice: %w", name, errdefs.ErrInvalidArgument)
		}
		byPath[path] = value
	}
	return byPath, nil
}

// addDefaults adds what the configuration gives to every pod with a network of
// its own, as upstream does.
func addDefaults(sysctls map[string]string, config Config) {
	add := func(wanted bool, path, value string) {
		if _, ok := sysctls[path]; wanted && !ok {
			sysctls[path] = value
		}
	}
	add(config.UnprivilegedPorts, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
	add(config.UnprivilegedICMP, "/proc/sys/net/ipv4/ping_group_range", "0 2147483647")
}

// ipcSysctls belong to an IPC namespace (ipc_namespaces(7)).
var ipcSysctls = []string{
	"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall",
	"kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
}

// sysctlPath is the file of a sysctl which belongs to a namespace of the pod;
// any other would change the host. Names are written with dots, or, where an
// element has one itself, with slashes (sysctl(8)).
//
// Errors: InvalidArgument.
func sysctlPath(name string, ownNetwork, ownIPC bool) (string, error) {
	path := name
	if !strings.Contains(name, "/") {
		path = strings.ReplaceAll(name, ".", "/")
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "" || element == "." || element == ".." {
			return "", fmt.Errorf("sysctl %q is malformed: %w", name, errdefs.ErrInvalidArgument)
		}
	}
	isIPC := slices.Contains(ipcSysctls, path) || strings.HasPrefix(path, "fs/mqueue/")
	if strings.HasPrefix(path, "net/") && ownNetwork || isIPC && ownIPC {
		return "/proc/sys/" + path, nil
	}
	return "", fmt.Errorf("sysctl %q is not one of a namespace of the pod: %w", name, errdefs.ErrInvalidArgument)
}
