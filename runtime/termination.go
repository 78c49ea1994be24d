// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TerminationAnnotation is how a kubelet says which file it reads when the container has
// ended: terminationMessagePath of the pod's spec (kubelet's kuberuntime/labels.go). It
// is in the OCI spec if the handler lets it through (container_annotations).
const TerminationAnnotation = "io.kubernetes.container.terminationMessagePath"

// terminationFile is that file in the container, empty if there is none: kubelet mounts
// one there. The guest's own thread opens it, so nobody can have written by this what the
// guest could not write itself.
func terminationFile(spec *specs.Spec) string {
	file := path.Clean(spec.Annotations[TerminationAnnotation])
	if !path.IsAbs(file) || strings.IndexByte(file, 0) >= 0 {
		return ""
	}
	found := ""
	for _, m := range spec.Mounts {
		if path.Clean(m.Destination) != file {
			continue
		}
		found = ""
		if jm, err := guestMount(m); err == nil && jm.Source != "" && jm.Attr&unix.MOUNT_ATTR_RDONLY == 0 {
			found = file
		}
	}
	return found
}
