// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"strings"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Requests that are empty, huge or make no sense: the container runs, or there is an
// error that says what is wrong.
func TestOddRequests(t *testing.T) {
	p := wasmPod(t, shared(t), host)
	big, dir := strings.Repeat("x", 1<<20), t.TempDir()
	type request = *criapi.CreateContainerRequest
	for name, tc := range map[string]struct {
		change func(request, *criapi.ContainerConfig)
		want   string // empty: it runs
	}{
		"nothing":            {func(r request, _ *criapi.ContainerConfig) { r.Reset() }, "failed to find sandbox"},
		"no container":       {func(r request, _ *criapi.ContainerConfig) { r.Config = nil }, "container config must include metadata"},
		"no pod":             {func(r request, _ *criapi.ContainerConfig) { r.SandboxConfig = nil }, "pod sandbox config must include metadata"},
		"an unknown pod":     {func(r request, _ *criapi.ContainerConfig) { r.PodSandboxId = big }, "failed to find sandbox"},
		"an empty container": {func(_ request, c *criapi.ContainerConfig) { c.Reset() }, "container config must include metadata"},
		"no Linux part":      {func(_ request, c *criapi.ContainerConfig) { c.Linux = nil }, ""},
		"no image":           {func(_ request, c *criapi.ContainerConfig) { c.Image = nil }, "failed to resolve image"},
		"an unknown image":   {func(_ request, c *criapi.ContainerConfig) { c.Image.Image = big }, "failed to resolve image"},
		"no name":            {func(_ request, c *criapi.ContainerConfig) { c.Metadata.Name = "" }, ""},
		"a huge name":        {func(_ request, c *criapi.ContainerConfig) { c.Metadata.Name = big }, ""},
		"huge arguments":     {func(_ request, c *criapi.ContainerConfig) { c.Args = []string{"0", big, big, big, big, big, big, big} }, ""},
		"many arguments":     {func(_ request, c *criapi.ContainerConfig) { c.Args = strings.Fields(strings.Repeat("0 ", 1e5)) }, ""},
		"NUL in an argument": {func(_ request, c *criapi.ContainerConfig) { c.Args = []string{"a\x00b"} }, "NUL"},
		"a huge command":     {func(_ request, c *criapi.ContainerConfig) { c.Command = []string{"/" + big} }, "failed to create containerd task"},
		"a huge environment": {func(_ request, c *criapi.ContainerConfig) { c.Envs = variables(7, big) }, ""},
		"many variables":     {func(_ request, c *criapi.ContainerConfig) { c.Envs = variables(20000, "x") }, ""},
		"odd variables": {func(_ request, c *criapi.ContainerConfig) {
			c.Envs = []*criapi.KeyValue{nil, {}, {Key: "A=B", Value: []byte("\xff=\n")}, {Key: "A"}, {Key: "A"}}
		}, ""},
		"NUL in a variable":  {func(_ request, c *criapi.ContainerConfig) { c.Envs = variables(1, "a\x00b") }, "NUL"},
		"a huge directory":   {func(_ request, c *criapi.ContainerConfig) { c.WorkingDir = "/" + big }, ""},
		"a relative one":     {func(_ request, c *criapi.ContainerConfig) { c.WorkingDir = "../.." }, ""},
		"a huge label":       {func(_ request, c *criapi.ContainerConfig) { c.Labels = map[string]string{"a": big} }, "greater than maximum size"},
		"a huge log path":    {func(_ request, c *criapi.ContainerConfig) { c.LogPath = big }, "file name too long"},
		"an empty mount":     {func(_ request, c *criapi.ContainerConfig) { c.Mounts = []*criapi.Mount{{}} }, "failed to mkdir"},
		"a mount on all":     {func(_ request, c *criapi.ContainerConfig) { c.Mounts = mounts(1, dir, "/") }, `mount on "/": not an absolute path below /`},
		"a mount outside":    {func(_ request, c *criapi.ContainerConfig) { c.Mounts = mounts(1, dir, "../../x") }, `mount on "../../x": not an absolute path below /`},
		"many mounts":        {func(_ request, c *criapi.ContainerConfig) { c.Mounts = mounts(10000, dir, "/m") }, "mounts, more than 1000"},
		"a huge mount point": {func(_ request, c *criapi.ContainerConfig) { c.Mounts = mounts(1, dir, "/"+big) }, "make mount point"},
		"negative memory": {func(_ request, c *criapi.ContainerConfig) {
			c.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: -5}
		}, "linux.resources.memory.limit -5"},
		"negative CPU time": {func(_ request, c *criapi.ContainerConfig) {
			c.Linux.Resources = &criapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: -5}
		}, "linux.resources.cpu.quota -5"},
		"a user that there is not": {func(_ request, c *criapi.ContainerConfig) {
			c.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1 << 32}}
		}, "uid out of range"},
		"a privileged one in a pod that is not": {func(_ request, c *criapi.ContainerConfig) {
			c.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{Privileged: true}
		}, "no privileged container allowed in sandbox"},
		"a target that there is not": {func(_ request, c *criapi.ContainerConfig) {
			c.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{NamespaceOptions: &criapi.NamespaceOption{Pid: criapi.NamespaceMode_TARGET, TargetId: "x"}}
		}, "does not exist"},
		"an unknown signal": {func(_ request, c *criapi.ContainerConfig) { c.StopSignal = 12345 }, "unknown CRI stop signal"},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("exit")
			r := &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config}
			tc.change(r, config)
			err := p.createAndRun(t, r)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the error is %.500v, want one with %q", err, tc.want)
			}
		})
	}
	runToTheEnd(t, p, 0)
}

// createAndRun returns what went wrong before the container's end.
func (p *pod) createAndRun(t *testing.T, r *criapi.CreateContainerRequest) error {
	t.Helper()
	created, err := p.d.CRI().CreateContainer(p.ctx, r)
	if err != nil {
		return err
	}
	c := &container{pod: p, id: created.GetContainerId()}
	defer c.remove(t)
	if err := c.start(); err != nil {
		return err
	}
	c.expectExit(t, 0, "Completed")
	return nil
}

func variables(n int, value string) (all []*criapi.KeyValue) {
	for i := range n {
		all = append(all, &criapi.KeyValue{Key: fmt.Sprint("V", i), Value: []byte(value)})
	}
	return all
}

// mounts are n of a directory; many have numbers after the path.
func mounts(n int, dir, path string) (all []*criapi.Mount) {
	for i := range n {
		all = append(all, &criapi.Mount{HostPath: dir, ContainerPath: path})
		if n > 1 {
			all[i].ContainerPath += fmt.Sprint(i)
		}
	}
	return all
}
