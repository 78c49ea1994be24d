// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// expectThreads waits until the container has so many: its own guest's, and its execs'.
func (c *container) expectThreads(t *testing.T, want int) {
	t.Helper()
	daemon.Eventually(t, "the ends of execs", func() error {
		if pids, err := c.d.Pids(c.ctx, c.id); err != nil || len(pids) != want {
			return fmt.Errorf("threads %v, want %d: %w", pids, want, err)
		}
		return nil
	})
}

// What kubelet execs in the life of a container: a hook after its start, a startup
// probe, probes that fail, and hang, and are well again, and a hook before its end.
func TestProbesAndHooks(t *testing.T) {
	volume := t.TempDir()
	config := containerConfig(toolsImage)
	config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume"}}
	c := wasmPod(t, shared(t), own).run(t, config)
	expect := func(what string, code int32, command ...string) {
		t.Helper()
		if r, err := c.execSync(60, command...); err != nil || r.GetExitCode() != code {
			t.Errorf("%s: code %d (%v), want %d", what, r.GetExitCode(), err, code)
		}
	}
	expect("the hook after the start", 0, "/write.wasm", "/volume/started", "yes")
	expect("the startup probe", 1, "/cat.wasm", "/volume/ready")
	if err := os.WriteFile(filepath.Join(volume, "ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("the startup probe", 0, "/cat.wasm", "/volume/ready")
	_, err := c.execSync(1, "/spin.wasm")
	if status.Code(err) != codes.DeadlineExceeded { // what kubelet looks at
		t.Errorf("a probe that hangs: %v", err)
	}
	c.expectThreads(t, 1)
	expect("a probe that traps", 134, "/trap.wasm")
	expect("a probe after that", 0, "/cat.wasm", "/volume/started")
	expect("the hook before the end", 0, "/write.wasm", "/volume/stopping", "yes")
	c.stop(t, 300)
	c.expectExit(t, 143, "Error")
	for _, name := range []string{"started", "stopping"} {
		if text, err := os.ReadFile(filepath.Join(volume, name)); err != nil || string(text) != "yes" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// A thousand probes at once, of which a fifth hangs.
func TestAThousandProbesAtOnce(t *testing.T) {
	const probes, hang = 1000, 5 // one of so many
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	var wg sync.WaitGroup
	for i := range probes {
		wg.Go(func() {
			if i%hang == 0 {
				module := "/sleep.wasm"
				if i/hang%10 == 0 {
					module = "/spin.wasm"
				}
				if _, err := c.execSync(1, module); status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("probe %d: %v", i, err)
				}
				return
			}
			code := fmt.Sprint(i % 256)
			if r, err := c.execSync(0, "/exit.wasm", code); err != nil || fmt.Sprint(r.GetExitCode()) != code {
				t.Errorf("probe %d: code %d, %v", i, r.GetExitCode(), err)
			}
		})
	}
	wg.Wait()
	c.expectThreads(t, 1)
	if r, err := c.execSync(0, "/exit.wasm", "9"); err != nil || r.GetExitCode() != 9 {
		t.Errorf("a probe after that: code %d, %v", r.GetExitCode(), err)
	}
}

// Whoever asks for an exec and goes away leaves nothing.
func TestExecWhoseClientIsGone(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	var clients sync.WaitGroup
	defer clients.Wait()
	for _, module := range []string{"/spin.wasm", "/sleep.wasm"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		clients.Go(func() {
			if _, err := c.d.CRI().ExecSync(ctx, &criapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{module}}); status.Code(err) != codes.Canceled {
				t.Errorf("%s: %v", module, err)
			}
		})
		c.expectThreads(t, 2)
		cancel()
		c.expectThreads(t, 1)
	}
}

// An exec that writes for ever is ended as others are, and its client not drowned.
func TestExecThatWritesForEver(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	if _, err := c.execSync(1, "/flood.wasm"); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	c.expectThreads(t, 1)
}

func TestRemovedWhileAnExecRuns(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	exec := c.execInBackground("/spin.wasm")
	c.expectThreads(t, 2)
	c.remove(t)
	c.expectGone(t)
	if r := exec.wait(t); r.code != 137 {
		t.Errorf("the exec: code %d, %v", r.code, r.err)
	}
}

// Removing a container does not wait for the compiler of one of its execs.
func TestRemovedWhileAnExecIsCompiled(t *testing.T) {
	d := daemon.Start(t) // which ends the compiler
	d.Import(t, images.Wasm("sleep"))
	program, err := images.Compile(t.Context(), images.Wasm("hello-go"))
	if err != nil {
		t.Fatal(err)
	}
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "new.wasm"), program, 0o644); err != nil {
		t.Fatal(err)
	}
	config := containerConfig("sleep")
	config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume", Readonly: true}}
	c := wasmPod(t, d, host).run(t, config)
	exec := c.execInBackground("/volume/new.wasm")
	daemon.Eventually(t, "the compiler", func() error {
		if len(d.Children()) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	c.remove(t)
	if len(d.Children()) == 0 {
		t.Error("the compiler ended before the container was removed")
	}
	c.expectGone(t)
	if r := exec.wait(t); r.err == nil || !strings.Contains(r.err.Error(), "the task has ended") {
		t.Errorf("the exec: code %d, %v", r.code, r.err)
	}
}

// ended is how an exec ended, or why it did not begin.
type ended struct {
	code int32
	err  error
}

// background is an exec that somebody else waits for.
type background chan ended

func (c *container) execInBackground(command ...string) background {
	done := make(background, 1)
	go func() {
		r, err := c.execSync(0, command...)
		done <- ended{r.GetExitCode(), err}
	}()
	return done
}

func (b background) wait(t *testing.T) (r ended) {
	t.Helper()
	select {
	case r = <-b:
	case <-time.After(daemon.Patience):
		t.Error("the exec does not end")
	}
	return r
}

// An exec is where its container is, and may no more than that.
func TestExecIsInTheContainersJail(t *testing.T) {
	d := shared(t)
	config := containerConfig(toolsImage)
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{
		RunAsUser: &criapi.Int64Value{Value: 1000}, RunAsGroup: &criapi.Int64Value{Value: 2000}, ReadonlyRootfs: true, NoNewPrivs: true,
		Seccomp: &criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_RuntimeDefault},
	}
	config.Envs = variables(1, "value")
	c := wasmPod(t, d, own).run(t, config)
	if r, err := c.execSync(60, "/write.wasm", "/file", "text"); err != nil || r.GetExitCode() != 1 {
		t.Errorf("writing to a read-only root: code %d, %v", r.GetExitCode(), err)
	}
	if r, err := c.execSync(60, "/env.wasm", "one", "two words"); err != nil || !strings.Contains(string(r.GetStdout()), "arg one\narg two words\n") || !strings.Contains(string(r.GetStdout()), "env V0=value\n") {
		t.Errorf("%q, %v", r.GetStdout(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.d.CRI().ExecSync(ctx, &criapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"/sleep.wasm"}})
	tid := execThread(t, d, c)
	for _, kind := range []string{"mnt", "net", "ipc", "uts"} {
		if got, want := namespace(t, tid, kind), namespace(t, c.pid(t), kind); got != want {
			t.Errorf("the exec is in %s, and its container in %s", got, want)
		}
	}
	s := threadStatus(t, int(tid))
	if s["Uid"] != daemon.UIDs("1000") || s["Gid"] != "2000 2000 2000 2000" || s["CapEff"] != bits() || s["NoNewPrivs"] != "1" || s["Seccomp"] != "2" {
		t.Errorf("the kernel's view of it: %v", s)
	}
	// It has its profile before it runs, but not when it is listed.
	daemon.Eventually(t, "the exec's filters", func() error {
		own, filters := kernelStatus(t, c)["Seccomp_filters"], threadStatus(t, int(tid))["Seccomp_filters"]
		if own != "2" || filters != own {
			return fmt.Errorf("the container has %s, and the exec %s, want 2", own, filters)
		}
		return nil
	})
	cancel()
	c.expectThreads(t, 1)
}

// Calls for what is not there, or not any more.
func TestUnknownContainers(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	gone := p.run(t, containerConfig("exit"))
	gone.wait(t)
	gone.remove(t)
	for _, id := range []string{gone.id, "no-such-container", strings.Repeat("x", 1<<20), "../..", ""} {
		ctx, cri := p.ctx, d.CRI()
		for name, err := range map[string]error{
			"ExecSync":  errOf(cri.ExecSync(ctx, &criapi.ExecSyncRequest{ContainerId: id, Cmd: []string{"/exit.wasm"}})),
			"Exec":      errOf(cri.Exec(ctx, &criapi.ExecRequest{ContainerId: id, Cmd: []string{"/exit.wasm"}, Stdout: true})),
			"Attach":    errOf(cri.Attach(ctx, &criapi.AttachRequest{ContainerId: id, Stdout: true})),
			"Start":     errOf(cri.StartContainer(ctx, &criapi.StartContainerRequest{ContainerId: id})),
			"Status":    errOf(cri.ContainerStatus(ctx, &criapi.ContainerStatusRequest{ContainerId: id})),
			"Stats":     errOf(cri.ContainerStats(ctx, &criapi.ContainerStatsRequest{ContainerId: id})),
			"Update":    errOf(cri.UpdateContainerResources(ctx, &criapi.UpdateContainerResourcesRequest{ContainerId: id, Linux: &criapi.LinuxContainerResources{}})),
			"ReopenLog": errOf(cri.ReopenContainerLog(ctx, &criapi.ReopenContainerLogRequest{ContainerId: id})),
		} {
			if code := status.Code(err); code != codes.NotFound && (id != "" || code != codes.Unknown) {
				t.Errorf("%s of %.20q: %.200v", name, id, err)
			}
		}
		if id == "" {
			continue // upstream refuses that everywhere
		}
		// Who wants it to be gone has what he wants.
		for name, err := range map[string]error{
			"Stop":   errOf(cri.StopContainer(ctx, &criapi.StopContainerRequest{ContainerId: id})),
			"Remove": errOf(cri.RemoveContainer(ctx, &criapi.RemoveContainerRequest{ContainerId: id})),
		} {
			if err != nil {
				t.Errorf("%s of %.20q: %.200v", name, id, err)
			}
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// Commands that make no sense are errors that say so, and nothing else.
func TestExecCommandsThatMakeNoSense(t *testing.T) {
	config := containerConfig(toolsImage)
	volume := t.TempDir()
	for name, content := range map[string]string{"script": "#!/bin/sh\n", "text": "hello", "empty": "", "module": "\x00asm\x01\x00\x00\x00\x01\x10\x01"} {
		if err := os.WriteFile(filepath.Join(volume, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume", Readonly: true}}
	c := wasmPod(t, shared(t), host).run(t, config)
	big := strings.Repeat("x", 1<<20)
	for name, tc := range map[string]struct {
		command []string
		want    string
	}{
		"none":        {nil, "no command"},
		"empty":       {[]string{""}, "no command"},
		"a shell":     {[]string{"sh", "-c", "true"}, `"sh": no such file in the container; modules in it: /cat.wasm`},
		"an ELF file": {[]string{"/elf"}, "is an ELF file"},
		"a script":    {[]string{"/volume/script"}, "is a script"},
		"a text":      {[]string{"/volume/text"}, "not a WebAssembly module"},
		"nothing":     {[]string{"/volume/empty"}, "is empty"},
		"malformed":   {[]string{"/volume/module"}, "truncated"},
		"the host's":  {[]string{"/proc/self/exe"}, "no such file in the container"},
		"up and out":  {[]string{"../../../../../../etc/passwd"}, "no such file in the container"},
		"huge":        {[]string{big}, "failed to create exec"},
		"NUL":         {[]string{"/exit.wasm", "a\x00b"}, "NUL"},
	} {
		if _, err := c.execSync(60, tc.command...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the error is %.300v, want one with %q", name, err, tc.want)
		}
	}
	for _, timeout := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64 / int64(time.Second)} {
		if r, err := c.execSync(timeout, "/exit.wasm", "6"); err != nil || r.GetExitCode() != 6 {
			t.Errorf("a timeout of %d s: code %d, %v", timeout, r.GetExitCode(), err)
		}
	}
	if r, err := c.execSync(60, "/exit.wasm", "0", big, big, big, big, big, big, big); err != nil || r.GetExitCode() != 0 {
		t.Errorf("seven MiB of arguments: code %d, %.300v", r.GetExitCode(), err)
	}
	c.expectThreads(t, 1)
}
