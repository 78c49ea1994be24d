// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestStartsLinuxProgram(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"elf": "\x7fELF\x02", "script": "#!/bin/sh\n", "module": "\x00asm\x01\x00\x00\x00", "text": "hello", "short": "#", "empty": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	volume := t.TempDir()
	if err := os.Rename(filepath.Join(dir, "script"), filepath.Join(volume, "script")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/elf", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]bool{
		"/elf": true, "/link": true, "elf": true, "/v/script": true, "/elf#function": false,
		"/module": false, "/text": false, "/short": false, "/empty": false, "/missing": false, "/": false, "/script": false,
	} {
		spec := &specs.Spec{
			Process: &specs.Process{Args: []string{arg}, Env: []string{"PATH=/bin:/"}, Cwd: "/"},
			Mounts:  []specs.Mount{{Type: "proc", Destination: "/proc"}, {Type: "bind", Source: volume, Destination: "/v"}},
		}
		if got := startsLinuxProgram(spec, &rootfs{path: dir}); got != want {
			t.Errorf("%s: %t, want %t", arg, got, want)
		}
	}
}

func TestLinuxOpts(t *testing.T) {
	spec := specs.Spec{Linux: &specs.Linux{
		CgroupsPath: "kubepods-pod1.slice:cri-containerd:c1",
		Namespaces: []specs.LinuxNamespace{
			{Type: specs.NetworkNamespace, Path: "/proc/1/ns/net"},
			{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", os.Getpid())},
		},
	}}
	encoded, err := typeurl.MarshalAny(&spec)
	if err != nil {
		t.Fatal(err)
	}
	in := runtime.CreateOpts{Spec: encoded, Runtime: Name, SandboxID: "s", Address: "a"}
	got, err := linuxOpts(in, runcRuntime, false)
	if err != nil {
		t.Fatal(err)
	}
	if got.Runtime != runcRuntime || got.SandboxID != "" || got.Address != "" {
		t.Errorf("got %+v", got)
	}
	var o options.Options
	if err := typeurl.UnmarshalTo(got.RuntimeOptions, &o); err != nil || !o.SystemdCgroup {
		t.Errorf("options %v, %v", &o, err)
	}
	var changed specs.Spec
	if err := typeurl.UnmarshalTo(got.Spec, &changed); err != nil {
		t.Fatal(err)
	}
	if ns := changed.Linux.Namespaces; ns[0].Path != "/proc/1/ns/net" || ns[1].Path != "" {
		t.Errorf("namespaces %v", ns)
	}
	if got, err = linuxOpts(in, runcRuntime, true); err != nil {
		t.Fatal(err)
	}
	var unchanged specs.Spec
	if err := typeurl.UnmarshalTo(got.Spec, &unchanged); err != nil {
		t.Fatal(err)
	}
	if got := unchanged.Linux.Namespaces[1]; got != spec.Linux.Namespaces[1] {
		t.Errorf("with the host's PID namespace: %v", got)
	}
	if got, err := linuxOpts(in, "io.containerd.kata.v2", false); err != nil || got.RuntimeOptions != nil {
		t.Errorf("another runtime was given %v, %v", got.RuntimeOptions, err)
	}
	spec.Linux.Namespaces[1].Path = "/proc/0/ns/pid"
	if in.Spec, err = typeurl.MarshalAny(&spec); err != nil {
		t.Fatal(err)
	}
	if _, err := linuxOpts(in, runcRuntime, false); !errdefs.IsNotFound(err) {
		t.Errorf("a namespace that is gone: %v", err)
	}
}

func TestOtherOCIRuntimesMayRunModules(t *testing.T) {
	u := &upstream{}
	m := Merge(u, &Manager{tasks: map[key]*task{}, pods: newPods()})
	ctx := namespaces.WithNamespace(t.Context(), "test")
	spec, err := typeurl.MarshalAny(&specs.Spec{Process: &specs.Process{Args: []string{"/app.wasm"}}})
	if err != nil {
		t.Fatal(err)
	}
	for binary, want := range map[string]bool{"": false, "runc": false, "/usr/bin/runc": false, "/usr/bin/crun": true} {
		o, err := typeurl.MarshalAny(&options.Options{BinaryName: binary})
		if err != nil {
			t.Fatal(err)
		}
		if got := otherBinary(runtime.CreateOpts{RuntimeOptions: o}); got != want {
			t.Errorf("binary %q: %t, want %t", binary, got, want)
		}
	}
	// No module can be found without a root: that is for upstream to say.
	if _, err := m.Create(ctx, "a", runtime.CreateOpts{Runtime: runcRuntime, Spec: spec}); err != nil || strings.Join(u.calls, "") != "create a" {
		t.Errorf("got %v, upstream was asked to %v", err, u.calls)
	}
}
