// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// bind is a volume as kubelet passes it.
func bind(hostPath, containerPath string) *criapi.Mount {
	return &criapi.Mount{HostPath: hostPath, ContainerPath: containerPath}
}

func readonly(m *criapi.Mount) *criapi.Mount {
	m.Readonly = true
	return m
}

// tools describes a container that sleeps, and has modules to look around with.
func tools(mounts ...*criapi.Mount) *criapi.ContainerConfig {
	config := containerConfig(toolsImage)
	config.Mounts = mounts
	return config
}

// expectExec runs a command in the container. text is to be all of its stdout, if it
// succeeds, or in its stderr.
func (c *container) expectExec(t testing.TB, code int32, text string, command ...string) {
	t.Helper()
	r, err := c.execSync(60, command...)
	if err != nil {
		t.Errorf("%q: %v", command, err)
		return
	}
	stdout, stderr := string(r.GetStdout()), string(r.GetStderr())
	if r.GetExitCode() != code || code == 0 && stdout != text || code != 0 && (stdout != "" || !strings.Contains(stderr, text)) {
		t.Errorf("%q: exit code %d, stdout %q, stderr %q; want %d, %q", command, r.GetExitCode(), stdout, stderr, code, text)
	}
}

// writeFile makes a file, with the directories that it is in.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func expectFile(t testing.TB, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%s is %q (%v), want %q", path, b, err, want)
	}
}

// Each kind of volume that kubelet makes a mount of.
func TestVolumes(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	empty, hostDir, parent, files, memory := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	mountTmpfs(t, memory, unix.MS_SHARED)
	writeFile(t, hostDir+"/file", "on the host")
	writeFile(t, hostDir+"/dir/file", "deeper")
	writeFile(t, parent+"/sub/file", "in the sub path")
	writeFile(t, parent+"/other", "beside the sub path")
	c := p.run(t, tools(
		bind(empty, "/empty"),
		bind(memory, "/memory"),
		readonly(bind(hostDir, "/host")),
		bind(parent+"/sub", "/deep/down/sub"),
		readonly(bind(writeFile(t, files+"/key", "of a ConfigMap"), "/etc/app/config")),
		bind(writeFile(t, files+"/hosts", "# kubelet's\n"), "/etc/hosts"),
		bind(writeFile(t, files+"/log", ""), "/dev/termination-log"),
	))
	for _, tc := range []struct {
		code    int32
		text    string
		command []string
	}{
		{0, "", []string{"/write.wasm", "/empty/new", "by the guest"}},
		{0, "by the guest", []string{"/cat.wasm", "/empty/new"}},
		{0, "", []string{"/write.wasm", "/memory/new", "by the guest"}},
		{1, "No space left on device", []string{"/write.wasm", "/memory/large", strings.Repeat("x", 100_000)}},
		{0, "on the host", []string{"/cat.wasm", "/host/file"}},
		{0, "deeper", []string{"/cat.wasm", "/host/dir/file"}},
		{1, "Read-only file system", []string{"/write.wasm", "/host/file", "text"}},
		{1, "Read-only file system", []string{"/write.wasm", "/host/dir/new", "text"}},
		{0, "in the sub path", []string{"/cat.wasm", "/deep/down/sub/file"}},
		{0, "", []string{"/write.wasm", "/deep/down/sub/new", "by the guest"}},
		{1, "No such file", []string{"/cat.wasm", "/deep/down/other"}},
		{1, "No such file", []string{"/cat.wasm", "/deep/down/sub/../other"}},
		{0, "of a ConfigMap", []string{"/cat.wasm", "/etc/app/config"}},
		{1, "Read-only file system", []string{"/write.wasm", "/etc/app/config", "text"}},
		{0, "", []string{"/write.wasm", "/etc/app/beside", "in the root"}},
		{0, "# kubelet's\n", []string{"/cat.wasm", "/etc/hosts"}},
		{0, "", []string{"/write.wasm", "/dev/termination-log", "a reason"}},
	} {
		c.expectExec(t, tc.code, tc.text, tc.command...)
	}
	expectFile(t, empty+"/new", "by the guest")
	expectFile(t, memory+"/new", "by the guest")
	expectFile(t, parent+"/sub/new", "by the guest")
	expectFile(t, hostDir+"/file", "on the host")
	expectFile(t, files+"/log", "a reason")
	if _, err := os.Stat(files + "/beside"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is written beside a single file: %v", err)
	}
	writeFile(t, empty+"/later", "while it runs")
	c.expectExec(t, 0, "while it runs", "/cat.wasm", "/empty/later")
	c.stop(t, 0)
}

func TestNestedVolumes(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	a, b, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "c")
	writeFile(t, a+"/file", "a")
	writeFile(t, a+"/below/file", "a, below")
	writeFile(t, a+"/below/hidden", "a, hidden")
	writeFile(t, b+"/file", "b")
	writeFile(t, b+"/other", "b, other")
	writeFile(t, file, "c")
	// In no order: kubelet passes them as the pod has them.
	c := p.run(t, tools(bind(file, "/a/below/file"), bind(a, "/a"), readonly(bind(b, "/a/below"))))
	c.expectExec(t, 0, "a", "/cat.wasm", "/a/file")
	c.expectExec(t, 0, "c", "/cat.wasm", "/a/below/file")
	c.expectExec(t, 0, "b, other", "/cat.wasm", "/a/below/other")
	c.expectExec(t, 1, "No such file", "/cat.wasm", "/a/below/hidden")
	c.expectExec(t, 0, "", "/write.wasm", "/a/new", "text")
	c.expectExec(t, 0, "", "/write.wasm", "/a/below/file", "written")
	c.expectExec(t, 1, "Read-only file system", "/write.wasm", "/a/below/new", "text")
	expectFile(t, file, "written")
	expectFile(t, a+"/below/file", "a, below")
	expectFile(t, b+"/file", "b")
	c.stop(t, 0)
}

// Volumes of a read-only root are as they are asked for.
func TestReadOnlyRootWithVolumes(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	volume := t.TempDir()
	config := tools(bind(volume, "/made/for/it"), bind(filepath.Join(volume, "created"), "/other"), bind(writeFile(t, t.TempDir()+"/log", ""), "/dev/termination-log"))
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{ReadonlyRootfs: true}
	c := p.run(t, config)
	for _, path := range []string{"/made/for/it/file", "/other/file", "/dev/termination-log"} {
		c.expectExec(t, 0, "", "/write.wasm", path, "text")
	}
	for _, path := range []string{"/file", "/made/file", "/made/for/file", "/etc/file", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/file", "/write.wasm"} {
		c.expectExec(t, 1, "Read-only file system", "/write.wasm", path, "text")
	}
	expectFile(t, volume+"/file", "text")
	c.stop(t, 0)
}

// A volume of fsGroup: kubelet gives its files to a group that the guest is then in.
func TestVolumeOfAGroup(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir := t.TempDir()
	err := errors.Join(
		os.Chown(dir, 0, 2000), unix.Chmod(dir, 0o2770), // new files are the group's
		os.WriteFile(dir+"/group", []byte("of the group"), 0o640), os.Chown(dir+"/group", 0, 2000),
		os.WriteFile(dir+"/root", []byte("of root"), 0o600), os.Chown(dir+"/root", 0, 0),
	)
	if err != nil {
		t.Fatal(err)
	}
	config := tools(bind(dir, "/volume"))
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{
		RunAsUser: &criapi.Int64Value{Value: 1000}, RunAsGroup: &criapi.Int64Value{Value: 1000}, SupplementalGroups: []int64{2000},
	}
	c := p.run(t, config)
	c.expectExec(t, 0, "of the group", "/cat.wasm", "/volume/group")
	c.expectExec(t, 1, "Permission denied", "/cat.wasm", "/volume/root")
	c.expectExec(t, 1, "Permission denied", "/write.wasm", "/volume/group", "text")
	c.expectExec(t, 0, "", "/write.wasm", "/volume/new", "text")
	var st unix.Stat_t
	if err := unix.Stat(dir+"/new", &st); err != nil || st.Uid != 1000 || st.Gid != 2000 {
		t.Errorf("the guest's file is owned by %d:%d, %v", st.Uid, st.Gid, err)
	}
	c.stop(t, 0)
	config = tools(bind(dir, "/volume"))
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1000}}
	c = p.run(t, config)
	c.expectExec(t, 1, "Permission denied", "/cat.wasm", "/volume/group")
	c.stop(t, 0)
}
