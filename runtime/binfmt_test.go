// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestHasInterpreter(t *testing.T) {
	const head = "enabled\ninterpreter /usr/bin/wasmtime\nflags: F\n"
	for _, tc := range []struct {
		desc  string
		entry string
		name  string
		want  bool
	}{
		{"magic", head + "offset 0\nmagic 0061736d\n", "/app", true},
		{"magic and version", head + "offset 0\nmagic 0061736d01000000\n", "/app", true},
		{"at an offset", head + "offset 1\nmagic 61736d\n", "/app", true},
		{"masked", head + "offset 0\nmagic 00ff736d\nmask ff00ffff\n", "/app", true},
		{"masked, of another kind", head + "offset 0\nmagic 0161736d\nmask ffffffff\n", "/app", false},
		{"of components", head + "offset 0\nmagic 0061736d0d000100\n", "/app", false},
		{"switched off", "disabled" + head[len("enabled"):] + "offset 0\nmagic 0061736d\n", "/app", false},
		{"of ELF files", head + "offset 0\nmagic 7f454c46\nmask ffffffff\n", "/app", false},
		{"longer than what is known", head + "offset 0\nmagic 0061736d0100000001\n", "/app", false},
		{"extension", head + "extension .wasm\n", "/app.wasm", true},
		{"extension of others", head + "extension .py\n", "/app.wasm", false},
		{"no extension", head + "extension .wasm\n", "/app", false},
		{"empty", "", "/app", false},
		{"garbage", head + "offset x\nmagic zz\n", "/app", false},
		{"no magic", head + "offset 0\n", "/app", false},
		{"odd offset", head + "offset 18446744073709551615\nmagic 0061736d\n", "/app", false},
	} {
		dir := layer(t, map[string]string{"status": "enabled\n", "qemu": "", "entry": tc.entry})
		if got := hasInterpreter(dir, tc.name); got != tc.want {
			t.Errorf("%s: %t, want %t", tc.desc, got, tc.want)
		}
	}
	entry := head + "offset 0\nmagic 0061736d\n"
	for desc, dir := range map[string]string{
		"all switched off": layer(t, map[string]string{"status": "disabled\n", "entry": entry}),
		"not mounted":      layer(t, nil),
		"not there":        "/does/not/exist",
	} {
		if hasInterpreter(dir, "/app") {
			t.Errorf("%s: it has one", desc)
		}
	}
}

// A module in a Linux container is refused, unless the kernel can run it.
func TestCheckPlaceWithAnInterpreter(t *testing.T) {
	spec, err := typeurl.MarshalAny(&specs.Spec{Process: &specs.Process{Args: []string{"/app"}, Cwd: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	root := []mount.Mount{{Type: "bind", Source: layer(t, map[string]string{"app": moduleHeader})}}
	opts := runtime.CreateOpts{Runtime: runcRuntime, Spec: spec, Rootfs: root}
	binfmt := layer(t, map[string]string{"status": "enabled\n", "wasm": "enabled\noffset 0\nmagic 0061736d\n"})
	if err := checkPlace(t.Context(), opts, binfmt); err != nil {
		t.Errorf("with an interpreter: %v", err)
	}
	if err := checkPlace(t.Context(), opts, t.TempDir()); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("without one: %v", err)
	}
}
