// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// Signals that ask a process to end do end a guest, and at once, however long the grace
// period is. Of others it knows nothing: SIGKILL comes when the grace period is over, as
// it does for a Linux container that does not listen.
func TestStopSignals(t *testing.T) {
	const grace = 300 // s, more than any test may take
	d := shared(t)
	p := wasmPod(t, d, host)
	for name, tc := range map[string]struct {
		signal  criapi.Signal
		timeout int64
		code    int32
	}{
		"default":            {criapi.Signal_SIGNAL_RUNTIME_DEFAULT, grace, 143},
		"SIGINT":             {criapi.Signal_SIGNAL_SIGINT, grace, 130},
		"SIGQUIT":            {criapi.Signal_SIGNAL_SIGQUIT, grace, 131},
		"SIGHUP":             {criapi.Signal_SIGNAL_SIGHUP, grace, 129},
		"SIGKILL":            {criapi.Signal_SIGNAL_SIGKILL, grace, 137},
		"SIGUSR1":            {criapi.Signal_SIGNAL_SIGUSR1, 1, 137},
		"real-time":          {criapi.Signal_SIGNAL_SIGRTMINPLUS3, 1, 137},
		"no grace period":    {criapi.Signal_SIGNAL_RUNTIME_DEFAULT, 0, 137},
		"negative":           {criapi.Signal_SIGNAL_RUNTIME_DEFAULT, -1, 137},
		"most negative":      {criapi.Signal_SIGNAL_RUNTIME_DEFAULT, math.MinInt64, 137},
		"centuries":          {criapi.Signal_SIGNAL_RUNTIME_DEFAULT, math.MaxInt64 / int64(time.Second), 143},
		"more than there is": {criapi.Signal_SIGNAL_RUNTIME_DEFAULT, math.MaxInt64, 137}, // upstream's overflow
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("spin")
			config.StopSignal = tc.signal
			c := p.run(t, config)
			begin := time.Now()
			c.stop(t, tc.timeout)
			took := time.Since(begin)
			c.expectExit(t, tc.code, "Error")
			if lost := tc.timeout == 1; lost && took < time.Second || took > patience.For(grace/10*time.Second) {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Who has waited long enough may say so while another one still waits.
func TestGracePeriodIsCutShort(t *testing.T) {
	config := containerConfig("spin")
	config.StopSignal = criapi.Signal_SIGNAL_SIGUSR1
	c := wasmPod(t, shared(t), host).run(t, config)
	begin := time.Now()
	var first sync.WaitGroup
	first.Go(func() { c.stop(t, 300) })
	time.Sleep(100 * time.Millisecond)
	if s := c.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("in its grace period the container is %v", s)
	}
	c.stop(t, 0)
	first.Wait()
	if took := time.Since(begin); took > patience.For(30*time.Second) {
		t.Errorf("it took %v", took)
	}
	c.expectExit(t, 137, "Error")
}

// Whatever a guest is at, it is gone in less than a second. A machine that does other
// things may take longer once, and not each time.
func TestRemovalIsQuick(t *testing.T) {
	const tries = 5
	d := shared(t)
	p := wasmPod(t, d, own)
	for name, prepare := range map[string]func(t *testing.T, port int) *container{
		"idle":     func(t *testing.T, _ int) *container { return p.run(t, containerConfig("sleep")) },
		"spinning": func(t *testing.T, _ int) *container { return p.run(t, containerConfig("spin")) },
		"blocked in accept": func(t *testing.T, port int) *container {
			c := p.run(t, containerConfig(listenImage, fmt.Sprint(port)))
			c.waitForLog(t, "listening")
			return c
		},
		"blocked in read": func(t *testing.T, _ int) *container {
			config := containerConfig(toolsImage)
			config.Command, config.Stdin = []string{"/echo.wasm"}, true
			return p.run(t, config)
		},
		"never started": func(t *testing.T, _ int) *container { return p.create(t, containerConfig("sleep")) },
		"with an exec": func(t *testing.T, _ int) *container {
			c := p.run(t, containerConfig(toolsImage))
			go c.execSync(0, "/spin.wasm")
			execThread(t, d, c)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			var took []time.Duration
			for i := range tries {
				c := prepare(t, 1000+i)
				begin := time.Now()
				c.remove(t)
				took = append(took, time.Since(begin))
				c.expectGone(t)
				if took[i] < patience.For(time.Second) {
					return
				}
			}
			t.Errorf("removing it took %v", took)
		})
	}
}

// expectGone checks that CRI has forgotten the container.
func (c *container) expectGone(t testing.TB) {
	t.Helper()
	r, err := c.d.CRI().ListContainers(c.ctx, &criapi.ListContainersRequest{Filter: &criapi.ContainerFilter{Id: c.id}})
	if err != nil || len(r.GetContainers()) != 0 {
		t.Errorf("it is still there: %v, %v", r.GetContainers(), err)
	}
}

func TestContainerThatIsNeverStarted(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, own)
	config := containerConfig("sleep")
	c := p.create(t, config)
	expectCreated := func() {
		t.Helper()
		if s := c.status(t); s.GetState() != criapi.ContainerState_CONTAINER_CREATED || s.GetStartedAt() != 0 || s.GetFinishedAt() != 0 {
			t.Errorf("the container is %v", s)
		}
	}
	expectCreated()
	if _, err := c.execSync(1, "/sleep.wasm"); err == nil || !strings.Contains(err.Error(), "CONTAINER_CREATED") {
		t.Errorf("exec: %v", err)
	}
	if _, err := d.CRI().Attach(p.ctx, &criapi.AttachRequest{ContainerId: c.id, Stdout: true}); err == nil || !strings.Contains(err.Error(), "CONTAINER_CREATED") {
		t.Errorf("attach: %v", err)
	}
	c.stop(t, 10)
	expectCreated() // as upstream: there is nothing to stop
	if _, err := d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config}); err == nil || !strings.Contains(err.Error(), "is reserved") {
		t.Errorf("a second one of its name: %v", err)
	}
	p.stop(t)
	if err := c.start(); err == nil || !strings.Contains(err.Error(), "is not running") {
		t.Errorf("starting it in a pod that is stopped: %v", err)
	}
	c.remove(t)
	c.expectGone(t)
}

// Calls that come twice, one after the other and at the same time. CNI's plugins can
// delete a network twice, and not at the same time.
func TestCallsThatComeTwice(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	c := p.create(t, containerConfig("sleep"))
	if failed := atOnce(c.start); len(failed) != callers-1 {
		t.Errorf("of %d starts %d failed: %v", callers, len(failed), failed)
	}
	if err := c.start(); err == nil || !strings.Contains(err.Error(), "CONTAINER_RUNNING") {
		t.Errorf("a second start: %v", err)
	}
	c.waitForLog(t, "sleeping")
	if got := c.logs(t, "stdout"); got != "sleeping\n" {
		t.Errorf("it wrote %q", got)
	}
	stop := func() error {
		_, err := d.CRI().StopContainer(p.ctx, &criapi.StopContainerRequest{ContainerId: c.id, Timeout: 300})
		return err
	}
	if failed := atOnce(stop); len(failed) != 0 {
		t.Errorf("of %d stops %d failed: %v", callers, len(failed), failed)
	}
	c.expectExit(t, 143, "Error")
	if err := stop(); err != nil {
		t.Errorf("stopping it again: %v", err)
	}
	if err := c.start(); err == nil || !strings.Contains(err.Error(), "CONTAINER_EXITED") {
		t.Errorf("a start after its end: %v", err)
	}
	remove := func() error {
		_, err := d.CRI().RemoveContainer(p.ctx, &criapi.RemoveContainerRequest{ContainerId: c.id})
		if err != nil && strings.Contains(err.Error(), "already in removing state") {
			return nil // upstream's word for "twice at once"
		}
		return err
	}
	if failed := atOnce(remove); len(failed) != 0 {
		t.Errorf("of %d removals %d failed: %v", callers, len(failed), failed)
	}
	c.expectGone(t)
	if err := remove(); err != nil {
		t.Errorf("removing it again: %v", err)
	}
	if err := c.start(); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("a start of what is gone: %v", err)
	}
	if _, err := d.CRI().RunPodSandbox(p.ctx, &criapi.RunPodSandboxRequest{Config: p.config, RuntimeHandler: daemon.Handler}); err == nil || !strings.Contains(err.Error(), "is reserved") {
		t.Errorf("a second pod of its name: %v", err)
	}
	atOnce(func() error { p.stop(t); return nil })
	p.expectState(t, criapi.PodSandboxState_SANDBOX_NOTREADY)
}

// callers is how many callers atOnce has.
const callers = 8

// atOnce calls f from several goroutines and returns its errors.
func atOnce(f func() error) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range callers {
		wg.Go(func() {
			if err := f(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	wg.Wait()
	return failed
}

// As kubelet restarts a container: a new one of its name, one attempt higher, in the
// same pod. Its root is new, and the pod's volumes are not.
func TestRestartInThePod(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, own)
	ip := p.status(t).GetNetwork().GetIp()
	volume := t.TempDir()
	var last *container
	for i, tc := range []struct {
		command []string
		code    int32
	}{
		{[]string{"/write.wasm", "/file", "text"}, 0},
		{[]string{"/write.wasm", "/volume/file", "text"}, 0},
		{[]string{"/cat.wasm", "/file"}, 1},
		{[]string{"/cat.wasm", "/volume/file"}, 0},
		{[]string{"/trap.wasm"}, 134},
		{[]string{"/exit.wasm", "3"}, 3},
		{[]string{"/exit.wasm"}, 0},
	} {
		config := containerConfig(toolsImage)
		config.Metadata = &criapi.ContainerMetadata{Name: "main", Attempt: uint32(i)}
		config.LogPath = fmt.Sprintf("main/%d.log", i)
		config.Command = tc.command
		config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/volume"}}
		if err := os.MkdirAll(filepath.Join(p.config.GetLogDirectory(), "main"), 0o755); err != nil {
			t.Fatal(err)
		}
		c := p.run(t, config)
		if s := c.wait(t); s.GetExitCode() != tc.code || s.GetMetadata().GetAttempt() != uint32(i) {
			t.Errorf("attempt %d: %v, want code %d", i, s, tc.code)
		}
		if last != nil {
			last.remove(t) // kubelet keeps one
		}
		last = c
	}
	p.expectState(t, criapi.PodSandboxState_SANDBOX_READY)
	if now := p.status(t).GetNetwork().GetIp(); now != ip {
		t.Errorf("the pod had address %q, and has %q", ip, now)
	}
}

// profileThatKills ends who lists a directory, and lets everything else pass.
const profileThatKills = `{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [{"names": ["getdents", "getdents64"], "action": "SCMP_ACT_KILL_PROCESS"}]
}`

// The codes that are not plain results of a program (docs/architecture.md).
func TestExitCodesOfTheRuntime(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	profile := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(profile, []byte(profileThatKills), 0o600); err != nil {
		t.Fatal(err)
	}
	listing := containerConfig(toolsImage)
	listing.Command = []string{"/ls.wasm", "/"}
	listing.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{
		Seccomp: &criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_Localhost, LocalhostRef: profile},
	}
	for name, tc := range map[string]struct {
		config *criapi.ContainerConfig
		code   int32
		reason string
	}{
		"the low byte":      {containerConfig("exit", "256"), 0, "Completed"},
		"a negative code":   {containerConfig("exit", "-1"), 255, "Error"},
		"a forbidden call":  {listing, 159, "Error"},
		"128 of its own":    {containerConfig("exit", "128"), 128, "Error"},
		"137 of its own":    {containerConfig("exit", "137"), 137, "Error"},
		"a trap's, its own": {containerConfig("exit", "134"), 134, "Error"},
	} {
		t.Run(name, func(t *testing.T) {
			p.run(t, tc.config).expectExit(t, tc.code, tc.reason)
		})
	}
}

// What `kubectl describe pod` shows must name the cause.
func TestStartErrorNamesTheCause(t *testing.T) {
	const module = "\x00asm\x01\x00\x00\x00"
	missing, err := images.CompileFile(t.Context(), "../integration/testdata/import.wat")
	if err != nil {
		t.Fatal(err)
	}
	d := shared(t)
	for name, tc := range map[string]struct {
		file    string
		content string
		command []string
		want    string
	}{
		"no module":   {"/main.wasm", "hello world", nil, "not a WebAssembly module"},
		"empty":       {"/main.wasm", "", nil, "is empty"},
		"truncated":   {"/main.wasm", module + "\x01\x10\x01", nil, "truncated"},
		"component":   {"/main.wasm", "\x00asm\x0d\x00\x01\x00", nil, "WebAssembly component"},
		"no function": {"/main.wasm", module, nil, `no function "_start"`},
		"import":      {"/main.wasm", string(missing), nil, `"env"."missing"`},
		"entrypoint":  {"/other.wasm", module, nil, `"/main.wasm": no such file in the container; modules in it: /other.wasm`},
		"shell":       {"/main.wasm", module, []string{"sh", "-c", "true"}, `"sh": no such file in the container; modules in it: /main.wasm`},
		"no modules":  {"/etc/text", "text", nil, `"/main.wasm": no such file in the container; it has no WebAssembly module`},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"/main.wasm"}}, map[string][]byte{tc.file: []byte(tc.content)})
			if err != nil {
				t.Fatal(err)
			}
			ref := "example.com/bad-" + strings.ToLower(strings.ReplaceAll(name, " ", "-")) + ":latest"
			d.ImportImage(t, ref, img)
			config := containerConfig(ref)
			config.Command = tc.command
			wasmPod(t, d, host).create(t, config).expectStartError(t, tc.want)
		})
	}
}

// expectStartError starts a container that cannot start, twice.
func (c *container) expectStartError(t *testing.T, want string) {
	t.Helper()
	if err := c.start(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want one with %q", err, want)
	}
	if s := c.wait(t); s.GetReason() != "StartError" || s.GetExitCode() != 128 || !strings.Contains(s.GetMessage(), want) {
		t.Errorf("code %d, reason %q, message %q", s.GetExitCode(), s.GetReason(), s.GetMessage())
	}
	if err := c.start(); err == nil || !strings.Contains(err.Error(), "CONTAINER_EXITED") {
		t.Errorf("a second start: %v", err)
	}
}

// A client that gives up a start while the module is compiled, and tries again.
func TestStartThatIsGivenUp(t *testing.T) {
	d := daemon.Start(t)
	d.Import(t, images.Wasm("hello-go"))
	c := wasmPod(t, d, host).create(t, containerConfig("hello-go"))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := d.CRI().StartContainer(ctx, &criapi.StartContainerRequest{ContainerId: c.id}); err == nil {
		t.Fatal("a Go program was compiled in 200 ms")
	}
	// As upstream: the container has failed, and kubelet makes another one.
	if s := c.wait(t); s.GetExitCode() != 128 {
		t.Errorf("the container is %v", s)
	}
	c.remove(t)
	wasmPod(t, d, host).run(t, containerConfig("hello-go")).expectExit(t, 0, "Completed")
}
