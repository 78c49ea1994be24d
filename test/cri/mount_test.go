// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// mountTmpfs mounts one for the rest of the test.
func mountTmpfs(t testing.TB, dir string, propagation uintptr) {
	t.Helper()
	err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", propagation, ""); err != nil {
		t.Fatal(err)
	}
}

// expectRefused starts a container, for an error that is to be seen in Kubernetes.
func (p *pod) expectRefused(t testing.TB, config *criapi.ContainerConfig, want string) {
	t.Helper()
	c := p.create(t, config)
	if err := c.start(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want one with %q", err, want)
	}
	if s := c.wait(t); s.GetReason() != "StartError" || !strings.Contains(s.GetMessage(), want) {
		t.Errorf("reason %q, message %q, want one with %q", s.GetReason(), s.GetMessage(), want)
	}
}

// expectNotCreated is for what CRI itself refuses.
func (p *pod) expectNotCreated(t testing.TB, config *criapi.ContainerConfig, want string) {
	t.Helper()
	_, err := p.d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want one with %q", err, want)
	}
}

// Mounts that come later are not seen, on a host on which all mounts are shared (as with
// systemd), and what asks for them is refused. The guest's own do not reach the host.
func TestMountPropagation(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	volume := t.TempDir()
	mountTmpfs(t, volume, unix.MS_SHARED)
	writeFile(t, volume+"/later/file", "covered")
	nested := bind(writeFile(t, t.TempDir()+"/file", "nested"), "/volume/nested")
	c := p.run(t, tools(bind(volume, "/volume"), nested))
	if b, err := os.ReadFile(volume + "/nested"); err != nil || len(b) > 0 {
		t.Errorf("the guest's nested mount on the host: %q, %v", b, err)
	}
	mountTmpfs(t, volume+"/later", unix.MS_SHARED)
	writeFile(t, volume+"/later/file", "later")
	c.expectExec(t, 0, "covered", "/cat.wasm", "/volume/later/file")
	c.expectExec(t, 0, "nested", "/cat.wasm", "/volume/nested")
	c.stop(t, 0)

	for mode, want := range map[criapi.MountPropagation]string{
		criapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER: `mount on "/volume": option "rslave": mounts of guests do not propagate (in Kubernetes, mountPropagation: HostToContainer)`,
		criapi.MountPropagation_PROPAGATION_BIDIRECTIONAL:     `mount on "/volume": option "rshared": mounts of guests do not propagate (in Kubernetes, mountPropagation: Bidirectional)`,
	} {
		m := bind(volume, "/volume")
		m.Propagation = mode
		p.expectRefused(t, tools(m), want)
	}
}

func TestMountsThatAreRefused(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir, file := t.TempDir(), writeFile(t, t.TempDir()+"/file", "text")
	ids := bind(dir, "/ids")
	ids.UidMappings = []*criapi.IDMapping{{HostId: 1000, ContainerId: 0, Length: 1}}
	many := make([]*criapi.Mount, 1001)
	for i := range many {
		many[i] = bind(dir, fmt.Sprintf("/many/%d", i))
	}
	for name, tc := range map[string]struct {
		mounts []*criapi.Mount
		want   string
	}{
		"id mappings":             {[]*criapi.Mount{ids}, `mount on "/ids": uidMappings, gidMappings: mounts of guests are not id-mapped`},
		"procfs":                  {[]*criapi.Mount{bind("/proc", "/host/proc")}, `mount on "/host/proc": source "/proc" is procfs`},
		"the root":                {[]*criapi.Mount{bind(dir, "/")}, `mount on "/": not an absolute path below /`},
		"the root, in a detour":   {[]*criapi.Mount{bind(dir, "/a/../../b/..")}, `mount on "/a/../../b/..": not an absolute path below /`},
		"a relative path":         {[]*criapi.Mount{bind(dir, "data")}, `mount on "data": not an absolute path below /`},
		"a file on a directory":   {[]*criapi.Mount{bind(dir, "/data"), bind(file, "/data")}, `mount a file on the directory "/data": Is a directory`},
		"a directory on a file":   {[]*criapi.Mount{bind(dir, "/cat.wasm")}, `mount a directory on the file "/cat.wasm": Not a directory`},
		"below a file":            {[]*criapi.Mount{bind(dir, "/cat.wasm/dir")}, `make mount point "/cat.wasm/dir": Not a directory`},
		"below a read-only mount": {[]*criapi.Mount{readonly(bind(dir, "/data")), bind(dir, "/data/none")}, `make mount point "/data/none": Read-only file system`},
		"a name that is too long": {[]*criapi.Mount{bind(dir, "/"+strings.Repeat("x", 300))}, "File name too long"},
		"too many":                {many, "mounts, more than 1000"},
	} {
		t.Run(name, func(t *testing.T) { p.expectRefused(t, tools(tc.mounts...), tc.want) })
	}
}

func TestOddMounts(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir := t.TempDir()
	missing, a, b := filepath.Join(dir, "not/there"), filepath.Join(dir, "a"), filepath.Join(dir, "b")
	writeFile(t, a+"/file", "a")
	writeFile(t, b+"/file", "b")
	if err := os.Symlink("a", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	labelled := bind(a, "/labelled")
	labelled.SelinuxRelabel = true // without effect where there is no SELinux
	mounts := []*criapi.Mount{
		bind(missing, "/missing"), bind(dir+"/link", "/link"), bind(a, "/x/.././../dots"), bind(a, "/slashes///s/"),
		bind(a, "/twice"), bind(b, "/twice"), bind(a, "/of a \"name\"\n"), bind(a, "/same"), bind(a, "/same/below"), labelled,
	}
	for i := range 500 {
		mounts = append(mounts, readonly(bind(b+"/file", fmt.Sprintf("/many/%d", i))))
	}
	if err := os.Mkdir(a+"/below", 0o755); err != nil {
		t.Fatal(err)
	}
	c := p.run(t, tools(mounts...))
	c.expectExec(t, 0, "", "/write.wasm", "/missing/new", "text")
	for path, want := range map[string]string{
		"/link/file": "a", "/dots/file": "a", "/slashes/s/file": "a", "/twice/file": "b", "/labelled/file": "a",
		"/of a \"name\"\n/file": "a", "/same/below/file": "a", "/many/0": "b", "/many/499": "b",
	} {
		c.expectExec(t, 0, want, "/cat.wasm", path)
	}
	expectFile(t, missing+"/new", "text") // as upstream's CRI: a hostPath that is made
	c.stop(t, 0)
}

// What is neither file nor directory can be mounted, and devices cannot be opened.
func TestMountsOfSpecialFiles(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir := t.TempDir()
	var root unix.Stat_t
	err := errors.Join(
		unix.Mkfifo(dir+"/fifo", 0o666), unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Stat("/", &root), unix.Mknod(dir+"/disk", unix.S_IFBLK|0o666, int(root.Dev)), //nolint:gosec // a device number
	)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", dir+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mounts []*criapi.Mount
	for _, name := range []string{"fifo", "null", "disk", "socket"} {
		mounts = append(mounts, bind(filepath.Join(dir, name), "/dev/"+name))
	}
	mounts = append(mounts, bind(dir, "/dir"))
	c := p.run(t, tools(mounts...))
	for _, path := range []string{"/dev/null", "/dev/disk", "/dir/null", "/dir/disk"} {
		c.expectExec(t, 1, "Permission denied", "/cat.wasm", path)
		c.expectExec(t, 1, "Permission denied", "/write.wasm", path, "text")
	}
	c.expectExec(t, 1, "/dev/socket: ", "/cat.wasm", "/dev/socket")
	// Nobody writes: the guest waits, and can be ended.
	if _, err := c.execSync(1, "/cat.wasm", "/dev/fifo"); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("an exec that reads a FIFO: %v", err)
	}
	c.stop(t, 0)
	config := containerConfig("cat", "/dev/fifo")
	config.Mounts = mounts
	reader := p.run(t, config)
	reader.stop(t, 30)
	reader.expectExit(t, 143, "Error")
	// No module can be one, and nobody waits for it.
	config = tools(mounts...)
	config.Command = []string{"/dev/fifo"}
	p.expectRefused(t, config, `entrypoint "/dev/fifo" is not a regular file`)
}

// A volume may bring the module, or another one in place of the image's.
func TestModulesOnVolumes(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	module, err := images.Compile(t.Context(), images.Wasm("exit"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeTree(t, dir, "1", map[string]string{"exit": string(module), "below/exit.wasm": string(module)})
	file := filepath.Join(dir, "..data/exit")
	for name, tc := range map[string]struct {
		mounts  []*criapi.Mount
		command string
	}{
		"on a volume":                    {[]*criapi.Mount{readonly(bind(dir, "/config"))}, "/config/exit"},
		"in a directory of it":           {[]*criapi.Mount{readonly(bind(dir, "/config"))}, "/config/below/exit"},
		"a single file":                  {[]*criapi.Mount{bind(file, "/a/b/c")}, "/a/b/c"},
		"over the entrypoint":            {[]*criapi.Mount{bind(file, "/sleep.wasm")}, "/sleep.wasm"},
		"over the entrypoint, read-only": {[]*criapi.Mount{readonly(bind(file, "/sleep.wasm"))}, "/sleep.wasm"},
		"below another volume":           {[]*criapi.Mount{bind(dir+"/..1/below", "/v/below"), bind(t.TempDir(), "/v")}, "/v/below/exit.wasm"},
	} {
		t.Run(name, func(t *testing.T) {
			config := tools(tc.mounts...)
			config.Command = []string{tc.command, "7"}
			p.run(t, config).expectExit(t, 7, "Error")
		})
	}
	config := tools(bind(writeFile(t, t.TempDir()+"/text", "no module"), "/sleep.wasm"))
	p.expectRefused(t, config, "not a WebAssembly module")
	expectFile(t, file, string(module))
	// The image's own is as it was, for all other containers.
	c := p.run(t, tools())
	c.waitForLog(t, "sleeping")
	c.stop(t, 0)
}
