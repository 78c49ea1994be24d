// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestTerminationFile(t *testing.T) {
	const place = "/dev/termination-log"
	bound := func(at string, options ...string) specs.Mount {
		return specs.Mount{Type: "bind", Source: "/var/lib/kubelet/pods/x/containers/c/1", Destination: at, Options: append(options, "rbind")}
	}
	for name, c := range map[string]struct {
		path   string // of the annotation
		mounts []specs.Mount
		want   string
	}{
		"as kubelet has it": {place, []specs.Mount{bound("/etc/hosts"), bound(place, "rprivate", "rw")}, place},
		"another path":      {"/a/../msg/", []specs.Mount{bound("/msg")}, "/msg"},
		"no annotation":     {"", []specs.Mount{bound(place)}, ""},
		"no mount":          {place, []specs.Mount{bound("/etc/hosts")}, ""},
		"above it":          {place, []specs.Mount{bound("/dev")}, ""},
		"read-only":         {place, []specs.Mount{bound(place, "ro")}, ""},
		"a volume as well":  {place, []specs.Mount{bound(place, "ro"), bound(place)}, place},
		"covered":           {place, []specs.Mount{bound(place), bound(place, "ro")}, ""},
		"tmpfs":             {place, []specs.Mount{{Type: "tmpfs", Destination: place}}, ""},
		"relative":          {"dev/termination-log", []specs.Mount{bound("dev/termination-log")}, ""},
		"NUL":               {place + "\x00", []specs.Mount{bound(place + "\x00")}, ""},
		"bad option":        {place, []specs.Mount{bound(place, "idmap")}, ""},
	} {
		spec := &specs.Spec{Mounts: c.mounts, Annotations: map[string]string{TerminationAnnotation: c.path}}
		if got := terminationFile(spec); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := terminationFile(&specs.Spec{}); got != "" {
		t.Errorf("without annotations: %q", got)
	}
}
