// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// A node's life: each end of the daemon is the end of all its guests, kubelet is told
// so, and makes them anew. After all that nothing is left over.
func TestLifeOfTheDaemon(t *testing.T) {
	pods := 200 / int(patience.For(1)) // fewer where all takes long
	d := daemon.Start(t, daemon.WithBridge())
	newer := buildNewer(t)
	d.Import(t, images.Wasm("sleep"), images.Wasm("echo"), images.Wasm("exit"))
	firstPod(t, d)
	before := d.Resources(t)

	begin := time.Now()
	k := newKubelet(t, d, "sleep", pods)
	if err := k.sync(); err != nil {
		t.Fatal(err)
	}
	for i, phase := range []struct {
		name string
		end  func()
	}{
		{"SIGTERM", func() { d.Stop(t); d.Restart(t) }},
		{"SIGKILL", func() { d.Kill(t); d.Restart(t) }},
		{"upgrade", func() { d.Stop(t); d.Upgrade(t, newer) }},
		{"reboot", func() { d.PowerOff(t); d.Restart(t) }},
	} {
		attempt := uint32(i)
		expectPods(t, k, begin, attempt, criapi.PodSandboxState_SANDBOX_READY, criapi.ContainerState_CONTAINER_RUNNING)
		phase.end()
		if t.Failed() {
			t.Fatalf("before %s", phase.name)
		}
		expectPods(t, k, begin, attempt, criapi.PodSandboxState_SANDBOX_NOTREADY, criapi.ContainerState_CONTAINER_EXITED)
		expectEnded(t, k)
		if t.Failed() {
			t.Fatalf("after %s", phase.name)
		}
		compilations := d.WatchCompilations(t)
		if err := k.sync(); err != nil {
			t.Fatalf("after %s: %v", phase.name, err)
		}
		if n := compilations.Waits() + compilations.Count(); n != 0 {
			t.Errorf("after %s, compiled code was not used again", phase.name)
		}
	}
	if r, err := d.CRI().Version(t.Context(), &criapi.VersionRequest{}); err != nil || r.GetRuntimeVersion() != newerVersion {
		t.Errorf("version %q, %v", r.GetRuntimeVersion(), err)
	}
	// What no earlier daemon ran.
	c := wasmPod(t, d, own).run(t, containerConfig("echo", "hello"))
	c.expectExit(t, 0, "Completed")
	if err := k.removeAll(); err != nil {
		t.Error(err)
	}
	d.CheckLeaks(t, before)
}

// expectPods checks what CRI lists.
func expectPods(t *testing.T, k *kubelet, begin time.Time, attempt uint32, sandbox criapi.PodSandboxState, container criapi.ContainerState) {
	t.Helper()
	all, err := k.look()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(k.pods) {
		t.Errorf("%d pods of %d are listed", len(all), len(k.pods))
	}
	for uid, f := range all {
		if len(f.sandboxes) != 1 || len(f.containers) != 1 {
			t.Fatalf("pod %s has sandboxes %v and containers %v", uid, f.sandboxes, f.containers)
		}
		s, c := f.sandboxes[0], f.containers[0]
		if s.GetState() != sandbox || s.GetMetadata().GetAttempt() != attempt || s.GetMetadata().GetName() != uid || s.GetRuntimeHandler() != daemon.Handler {
			t.Errorf("not as it should be: sandbox %v", s)
		}
		if c.GetState() != container || c.GetMetadata().GetAttempt() != attempt {
			t.Errorf("not as it should be: container %v", c)
		}
		for what, at := range map[string]int64{"sandbox": s.GetCreatedAt(), "container": c.GetCreatedAt()} {
			if at < begin.UnixNano() || at > time.Now().UnixNano() {
				t.Errorf("%s of %s was created at %v", what, uid, time.Unix(0, at))
			}
		}
		if t.Failed() {
			return // the others are not different
		}
	}
}

// expectEnded checks what kubelet asks about each pod that ended with the daemon.
func expectEnded(t *testing.T, k *kubelet) {
	t.Helper()
	all, err := k.look()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		listed := f.sandboxes[0]
		r, err := k.cri().PodSandboxStatus(k.ctx, &criapi.PodSandboxStatusRequest{PodSandboxId: listed.GetId(), Verbose: true})
		if err != nil {
			t.Fatal(err)
		}
		if s := r.GetStatus(); s.GetState() != listed.GetState() || s.GetCreatedAt() != listed.GetCreatedAt() || s.GetMetadata().GetUid() == "" {
			t.Errorf("listed is %v, and the status is %v", listed, s)
		}
		s, err := k.cri().ContainerStatus(k.ctx, &criapi.ContainerStatusRequest{ContainerId: f.containers[0].GetId()})
		if err != nil {
			t.Fatal(err)
		}
		if c := s.GetStatus(); c.GetExitCode() != 255 || c.GetReason() != "Unknown" || c.GetStartedAt() < c.GetCreatedAt() || c.GetFinishedAt() < c.GetStartedAt() {
			t.Errorf("status %v", c)
		}
		_, err = k.cri().PodSandboxStats(k.ctx, &criapi.PodSandboxStatsRequest{PodSandboxId: listed.GetId()})
		if !errdefs.IsUnavailable(errgrpc.ToNative(err)) {
			t.Errorf("stats of a pod that is not ready: %v", err)
		}
		if t.Failed() {
			return // the others are not different
		}
	}
}

// newerVersion is also in scripts/test-vm.sh.
const newerVersion = "v99.0.0+wasm.newer"

// buildNewer builds the daemon with another version, as this test is built.
func buildNewer(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(images.Programs); dir != "" {
		return filepath.Join(dir, "newer-daemon")
	}
	path := filepath.Join(t.TempDir(), "newer-daemon")
	args := []string{"build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w -X github.com/containerd/containerd/v2/version.Version=" + newerVersion}
	info, _ := debug.ReadBuildInfo() // without it, there are no tags
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			args = append(args, "-tags="+s.Value)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "-o", path, "github.com/containerd-wasm/containerd-wasm/cmd/containerd-wasm")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}
