// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

func TestDefaultConfigurationHasTheHandler(t *testing.T) {
	d := shared(t)
	out := d.Exec(t, "config", "default")
	for _, want := range []string{
		"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.wasm]",
		"runtime_type = 'io.containerd.wasmedge.v1'",
		"sandboxer = 'wasm'",
		"disable_pause_image_pull = true",
		"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]",
		"[plugins.'io.containerd.wasm.v1.engine']",
		"[plugins.'io.containerd.wasm.v1.runtime']",
		"[plugins.'io.containerd.snapshotter.v1.wasm']",
	} {
		if !strings.Contains(out.Stdout, want) {
			t.Errorf("config default does not show %s", want)
		}
	}
}

func TestPluginsAreThere(t *testing.T) {
	d := shared(t)
	out := d.Ctr(t, "plugins", "ls")
	status := map[string]string{}
	for line := range strings.Lines(out.Stdout) {
		if f := strings.Fields(line); len(f) == 4 {
			status[f[0]+"."+f[1]] = f[3]
		}
	}
	for _, plugin := range []string{
		"io.containerd.snapshotter.v1.wasm",
		"io.containerd.runtime.v2.task",
		"io.containerd.sandbox.controller.v1.wasm",
		"io.containerd.podsandbox.controller.v1.podsandbox",
		"io.containerd.wasm.v1.compiler",
		"io.containerd.wasm.v1.engine",
		"io.containerd.wasm.v1.runtime",
		"io.containerd.grpc.v1.cri",
	} {
		if status[plugin] != "ok" {
			t.Errorf("plugin %s is %q", plugin, status[plugin])
		}
	}
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	for key, line := range map[string]string{
		"compile_timeout": "[plugins.'io.containerd.wasm.v1.engine']\ncompile_timeout = 'soon'",
		"max_module_size": "[plugins.'io.containerd.wasm.v1.engine']\nmax_module_size = 'big'",
		"stack_size":      "[plugins.'io.containerd.wasm.v1.runtime']\nstack_size = '1'",
		"root_path":       "[plugins.'io.containerd.snapshotter.v1.wasm']\nroot_path = 'relative'",
	} {
		t.Run(key, func(t *testing.T) {
			d := daemon.Start(t, daemon.WithTOML(line), daemon.WithoutCRI())
			daemon.Eventually(t, "an error in the log", func() error {
				if !strings.Contains(d.Log(0), "\""+key+" ") && !strings.Contains(d.Log(0), " "+key+" ") {
					return errors.New("none that names the key")
				}
				return nil
			})
		})
	}
}
