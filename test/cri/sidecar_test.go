// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// peerImage has a guest for networks, and others; it sleeps.
const peerImage = "example.com/peer:latest"

func importPeer(t testing.TB, d *daemon.Daemon) {
	t.Helper()
	peer, err := images.CompileFile(t.Context(), "testdata/peer.c")
	if err != nil {
		t.Fatal(err)
	}
	img, err := images.Several(t.Context(), map[string][]byte{"/peer.wasm": peer}, "sleep", "cat", "write")
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, peerImage, img)
}

func nativeConfig(args ...string) *criapi.ContainerConfig {
	return containerConfig(images.Native("sidecar").Ref, args...)
}

func guestConfig(command ...string) *criapi.ContainerConfig {
	config := containerConfig(peerImage)
	config.Command = command
	return config
}

// A sidecar has its own way with signals, a grace period, and a forced end.
func TestSignalsOfASidecar(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	guest := p.run(t, guestConfig())
	for name, tc := range map[string]struct {
		command string
		timeout int64
		code    int32
		text    string
	}{
		"it listens":     {"listen", 300, 7, "running\nterminated\n"},
		"it does not":    {"ignore", 1, 137, "running\n"},
		"without a word": {"listen", 0, 137, "running\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := p.run(t, nativeConfig(tc.command))
			c.waitForLog(t, "running")
			begin := time.Now()
			c.stop(t, tc.timeout)
			if took := time.Since(begin); tc.timeout == 1 && took < time.Second || took > patience.For(60*time.Second) {
				t.Errorf("it took %v", took)
			}
			c.expectExit(t, tc.code, "Error")
			if got := c.logs(t, "stdout"); got != tc.text {
				t.Errorf("it wrote %q", got)
			}
			c.remove(t)
		})
	}
	if s := guest.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the guest beside is %v", s)
	}
	// A pod ends with both kinds in it.
	sidecar := p.run(t, nativeConfig("ignore"))
	p.stop(t)
	guest.expectExit(t, 137, "Error")
	sidecar.expectExit(t, 137, "Error")
}

// An init container that fails is seen as such, and tried again; what it has written
// is there for the guest.
func TestInitContainers(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	volume := t.TempDir()
	run := func(attempt uint32, config *criapi.ContainerConfig) *container {
		config.Metadata.Attempt = attempt
		config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume"}}
		return p.run(t, config)
	}
	for i, image := range []string{"Linux", "WebAssembly"} {
		failing, name, dir := nativeConfig("exit", "3"), fmt.Sprint("init", i), fmt.Sprint("/volume/", i)
		writing := nativeConfig("write", dir, "text")
		if image == "WebAssembly" {
			failing, writing = containerConfig("exit", "3"), guestConfig("/write.wasm", dir, "text")
		}
		failing.Metadata.Name, writing.Metadata.Name = name, name
		first := run(0, failing)
		first.expectExit(t, 3, "Error")
		run(1, writing).expectExit(t, 0, "Completed")
		first.remove(t)
	}
	guest := run(0, guestConfig("/cat.wasm", "/volume/0", "/volume/1"))
	guest.expectExit(t, 0, "Completed")
	if got := guest.logs(t, "stdout"); got != "texttext" {
		t.Errorf("the guest has read %q", got)
	}
	p.expectState(t, criapi.PodSandboxState_SANDBOX_READY)
}

// What one kind writes to a volume of the pod, the other one reads; a read-only mount of
// it is read-only for both.
func TestSharedVolume(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	volume := t.TempDir()
	run := func(readonly bool, config *criapi.ContainerConfig) *container {
		config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume", Readonly: readonly}}
		return p.run(t, config)
	}
	guest, sidecar := run(false, guestConfig("/sleep.wasm")), run(true, nativeConfig("listen"))
	expect := func(what string, c *container, code int32, stdout string, command ...string) {
		t.Helper()
		if r, err := c.execSync(60, command...); err != nil || r.GetExitCode() != code || string(r.GetStdout()) != stdout {
			t.Errorf("%s: code %d, stdout %q, stderr %q, %v", what, r.GetExitCode(), r.GetStdout(), r.GetStderr(), err)
		}
	}
	expect("the guest writes", guest, 0, "", "/write.wasm", "/volume/a", "of the guest")
	expect("the sidecar reads", sidecar, 0, "of the guest", "/sidecar", "cat", "/volume/a")
	expect("the sidecar may not write", sidecar, 1, "", "/sidecar", "write", "/volume/a", "x")
	other, readonly := run(false, nativeConfig("listen")), run(true, guestConfig("/sleep.wasm"))
	expect("another sidecar writes", other, 0, "", "/sidecar", "write", "/volume/a", "of the sidecar")
	expect("another guest reads", readonly, 0, "of the sidecar", "/cat.wasm", "/volume/a")
	expect("it may not write", readonly, 1, "", "/write.wasm", "/volume/a", "x")
	if text, err := os.ReadFile(filepath.Join(volume, "a")); err != nil || string(text) != "of the sidecar" {
		t.Errorf("the volume has %q, %v", text, err)
	}
}

// A Linux container of a guest's image has all the rights of a root in its own files, and
// none in the modules that it shares with the image's other containers.
func TestSidecarCannotChangeSharedModules(t *testing.T) {
	d := linux(t)
	program, err := images.Compile(t.Context(), images.Native("sidecar"))
	if err != nil {
		t.Fatal(err)
	}
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "sidecar"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	p := wasmPod(t, d, own)
	run := func(command ...string) *container {
		config := guestConfig(command...)
		config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume"}}
		return p.run(t, config)
	}
	before := run()
	spoiler := run("/volume/sidecar", "spoil", "/write.wasm")
	spoiler.expectExit(t, 0, "Completed")
	run("/volume/sidecar", "cat", "/write.wasm").expectExit(t, 0, "Completed")
	run("/write.wasm", "/volume/a", "still a module").expectExit(t, 0, "Completed")
	if r, err := before.execSync(60, "/write.wasm", "/volume/b", "in a running one too"); err != nil || r.GetExitCode() != 0 {
		t.Errorf("exec: %v, %v", r, err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := os.Stat(filepath.Join(volume, name)); err != nil {
			t.Error(err)
		}
	}
}

// Guests and sidecars are on one loopback interface.
func TestSharedNetwork(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	for name, tc := range map[string]struct {
		server, client *criapi.ContainerConfig
		want           string
	}{
		"a sidecar asks a guest": {guestConfig("/peer.wasm", "answer", "7001"), nativeConfig("ask", "127.0.0.1:7001", "text"), "guest: text"},
		"a guest asks a sidecar": {nativeConfig("answer", "127.0.0.1:7002"), guestConfig("/peer.wasm", "ask", "7002", "text"), "sidecar: text"},
		"a guest asks a guest":   {guestConfig("/peer.wasm", "answer", "7003"), guestConfig("/peer.wasm", "ask", "7003", "text"), "guest: text"},
	} {
		t.Run(name, func(t *testing.T) {
			server := p.run(t, tc.server)
			server.waitForLog(t, "listening")
			client := p.run(t, tc.client)
			client.expectExit(t, 0, "Completed")
			server.expectExit(t, 0, "Completed")
			if got := client.logs(t, "stdout"); got != tc.want {
				t.Errorf("the answer is %q (%s)", got, client.logs(t, "stderr"))
			}
		})
	}
	// Nobody else's loopback interface.
	p.run(t, guestConfig("/peer.wasm", "answer", "7004")).waitForLog(t, "listening")
	wasmPod(t, d, own).run(t, nativeConfig("ask", "127.0.0.1:7004", "text")).expectExit(t, 1, "Error")
}

// Exec, attach, statistics and changed resources of a sidecar are runc's.
func TestExecAndStatsOfASidecar(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	config := nativeConfig("listen")
	config.Linux.Resources = &criapi.LinuxContainerResources{MemoryLimitInBytes: 64 * mib}
	sidecar, guest := p.run(t, config), p.run(t, guestConfig())
	sidecar.waitForLog(t, "running")
	if r, err := sidecar.execSync(60, "/sidecar", "exit", "5"); err != nil || r.GetExitCode() != 5 {
		t.Errorf("exec: %v, %v", r, err)
	}
	if _, err := sidecar.execSync(1, "/sidecar", "ignore"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("exec with a timeout: %v", err)
	}
	if _, err := sidecar.execSync(60, "/cat.wasm"); err == nil {
		t.Error("a sidecar has run a module of the guest's")
	}
	if _, err := guest.execSync(60, "/sidecar"); err == nil || !strings.Contains(err.Error(), "modules in it") {
		t.Errorf("the guest's exec of the sidecar's program: %v", err)
	}
	if out := d.Crictl(t, "", "exec", sidecar.id, "/sidecar", "cat", "/etc/hostname"); out.Stdout != p.config.GetHostname()+"\n" {
		t.Errorf("streaming exec: %+v", out)
	}
	if err := sidecar.update(&criapi.LinuxContainerResources{MemoryLimitInBytes: 96 * mib}); err != nil {
		t.Error(err)
	}
	if got := sidecar.status(t).GetResources().GetLinux().GetMemoryLimitInBytes(); got != 96*mib {
		t.Errorf("its limit is %d", got)
	}
	daemon.Eventually(t, "statistics of both", func() error {
		r, err := d.CRI().ListContainerStats(p.ctx, &criapi.ListContainerStatsRequest{Filter: &criapi.ContainerStatsFilter{PodSandboxId: p.id}})
		if err != nil || len(r.GetStats()) != 2 {
			return fmt.Errorf("%v, %w", r, err)
		}
		for _, s := range r.GetStats() {
			if s.GetMemory().GetWorkingSetBytes().GetValue() == 0 || s.GetCpu().GetUsageCoreNanoSeconds().GetValue() == 0 {
				return errors.New(s.String())
			}
		}
		return nil
	})
}

// `kubectl debug` puts a container beside the others, and may ask for the processes of
// one of them. Of a guest there are none to see; a module is what it is, whatever it
// asks for.
func TestEphemeralContainers(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	guest, sidecar := p.run(t, guestConfig()), p.run(t, nativeConfig("listen"))
	gone := p.run(t, containerConfig("exit"))
	gone.wait(t)
	for name, tc := range map[string]struct {
		config *criapi.ContainerConfig
		target string
		code   int32
	}{
		"a Linux container and a guest": {nativeConfig("exit", "3"), guest.id, 3},
		"two Linux containers":          {nativeConfig("exit", "4"), sidecar.id, 4},
		"a module and a Linux one":      {containerConfig("exit", "5"), sidecar.id, 5},
		"a module and a guest":          {containerConfig("exit", "6"), guest.id, 6},
	} {
		tc.config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{
			NamespaceOptions: &criapi.NamespaceOption{Pid: criapi.NamespaceMode_TARGET, TargetId: tc.target},
		}
		c := p.run(t, tc.config)
		if s := c.wait(t); s.GetExitCode() != tc.code {
			t.Errorf("%s: %v", name, s)
		}
	}
	late := nativeConfig("exit", "0")
	late.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{
		NamespaceOptions: &criapi.NamespaceOption{Pid: criapi.NamespaceMode_TARGET, TargetId: gone.id},
	}
	if _, err := d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: late, SandboxConfig: p.config}); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("a target that has ended: %v", err)
	}
}

// A program for Linux that cannot start is runc's error.
func TestSidecarThatCannotStart(t *testing.T) {
	d := linux(t)
	p := wasmPod(t, d, own)
	config := nativeConfig()
	config.Command = []string{"/none"}
	p.create(t, config).expectStartError(t, `"/none": no such file in the container; it has no WebAssembly module`)
	config = nativeConfig("exit", "0")
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{
		Seccomp: &criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_Localhost, LocalhostRef: "/no/such/profile.json"},
	}
	if _, err := d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config}); err == nil || !strings.Contains(err.Error(), "/no/such/profile.json") {
		t.Errorf("a profile that is not there: %v", err)
	}
}
