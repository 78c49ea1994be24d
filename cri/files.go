// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func filesDir(root, id string) string { return filepath.Join(root, "sandboxes", id) }

// makeFiles writes what every container of the pod sees in /etc. Upstream's
// CRI plugin mounts those that it finds.
func makeFiles(root, id string, config *criapi.PodSandboxConfig) error {
	dir := filesDir(root, id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the pod's directory: %w", err)
	}
	hostname := config.GetHostname()
	if hostname == "" {
		var err error
		if hostname, err = os.Hostname(); err != nil {
			return fmt.Errorf("the host's name: %w", err)
		}
	}
	hosts, err := hostFile("/etc/hosts")
	if err != nil {
		return err
	}
	resolv, err := resolvConf(config.GetDnsConfig())
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"hostname":    hostname + "\n",
		"hosts":       hosts,
		"resolv.conf": resolv,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("the pod's /etc/%s: %w", name, err)
		}
	}
	return nil
}

// hostFile is the host's own, as upstream gives it to pods; a host without it
// gives an empty one.
func hostFile(name string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the host's %s: %w", name, err)
	}
	return string(b), nil
}

// resolvConf is resolv.conf(5) for a pod's DNS configuration, or the host's for
// a pod without one.
//
// Errors: InvalidArgument: an entry of more than one line.
func resolvConf(dns *criapi.DNSConfig) (string, error) {
	if dns == nil {
		return hostFile("/etc/resolv.conf")
	}
	for _, entry := range slices.Concat(dns.GetSearches(), dns.GetServers(), dns.GetOptions()) {
		if strings.ContainsAny(entry, "\n\x00") {
			return "", fmt.Errorf("DNS configuration: %q is not one line: %w", entry, errdefs.ErrInvalidArgument)
		}
	}
	var b strings.Builder
	if len(dns.GetSearches()) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(dns.GetSearches(), " "))
	}
	for _, server := range dns.GetServers() {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(dns.GetOptions()) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(dns.GetOptions(), " "))
	}
	return b.String(), nil
}

// removeFiles removes what makeFiles made. Errors: FailedPrecondition: it is not known
// where that is.
func removeFiles(root, id string) error {
	if root == "" {
		return fmt.Errorf("the pod's directory: no root is configured: %w", errdefs.ErrFailedPrecondition)
	}
	if err := os.RemoveAll(filesDir(root, id)); err != nil {
		return fmt.Errorf("the pod's directory: %w", err)
	}
	return nil
}
