// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// writeCDI describes devices as a vendor does (CDI specification 0.7.0): by what each
// adds to a container. It returns their full names.
func writeCDI(t testing.TB, d *daemon.Daemon, devices map[string]map[string]any) map[string]*criapi.CDIDevice {
	t.Helper()
	type device struct {
		Name  string         `json:"name"`
		Edits map[string]any `json:"containerEdits"`
	}
	spec := struct {
		Version string   `json:"cdiVersion"`
		Kind    string   `json:"kind"`
		Devices []device `json:"devices"`
	}{Version: "0.7.0", Kind: "example.com/thing"}
	names := map[string]*criapi.CDIDevice{}
	for name, edits := range devices {
		spec.Devices = append(spec.Devices, device{name, edits})
		names[name] = &criapi.CDIDevice{Name: spec.Kind + "=" + name}
	}
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, filepath.Join(d.Dir, "cdi/thing.json"), string(b))
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
	return names
}

// What a CDI device is to a guest are its variables and mounts. Device nodes are refused.
func TestCDI(t *testing.T) {
	d := shared(t)
	volume := t.TempDir()
	writeFile(t, volume+"/file", "by CDI")
	mounts := []map[string]any{{"hostPath": volume, "containerPath": "/cdi", "options": []string{"ro", "bind"}}}
	devices := writeCDI(t, d, map[string]map[string]any{
		"plain":  {"env": []string{"THING=plain"}, "mounts": mounts},
		"groups": {"additionalGids": []int{4711}},
		"node":   {"env": []string{"THING=node"}, "deviceNodes": []map[string]any{{"path": "/dev/thing", "hostPath": "/dev/null"}}},
	})
	p := wasmPod(t, d, host)
	config := tools()
	config.CDIDevices = []*criapi.CDIDevice{devices["plain"]}
	config.Command = []string{"/env.wasm"}
	c := p.run(t, config)
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); !strings.Contains(got, "env THING=plain\n") {
		t.Errorf("the guest's environment is %q", got)
	}
	config = tools()
	config.CDIDevices = []*criapi.CDIDevice{devices["plain"], devices["groups"]}
	c = p.run(t, config)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid(t)))
	if err != nil || !strings.Contains(string(status), " 4711 \n") {
		t.Errorf("the guest's thread is not in the group: %v\n%s", err, status)
	}
	c.expectExec(t, 0, "by CDI", "/cat.wasm", "/cdi/file")
	c.expectExec(t, 1, "Read-only file system", "/write.wasm", "/cdi/file", "text")
	c.stop(t, 0)

	config = tools()
	config.CDIDevices = []*criapi.CDIDevice{devices["plain"], devices["node"]}
	p.expectRefused(t, config, `device "/dev/thing": guests of runtime io.containerd.wasmedge.v1 cannot have it`)

	config = tools()
	config.CDIDevices = []*criapi.CDIDevice{{Name: "example.com/thing=none"}}
	p.expectNotCreated(t, config, "unresolvable CDI devices example.com/thing=none")
}

// Devices of CRI itself, by which device plugins without CDI give them.
func TestDevicesAreRefused(t *testing.T) {
	p := wasmPod(t, shared(t), host)
	config := tools()
	config.Devices = []*criapi.Device{{ContainerPath: "/dev/thing", HostPath: "/dev/null", Permissions: "rw"}}
	p.expectRefused(t, config, `device "/dev/thing": guests of runtime io.containerd.wasmedge.v1 cannot have it`)
}
