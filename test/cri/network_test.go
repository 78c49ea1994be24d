// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

func TestPodOnTheHostsNetwork(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	p.expectState(t, criapi.PodSandboxState_SANDBOX_READY)
	if ip := p.status(t).GetNetwork().GetIp(); ip != "" {
		t.Errorf("the pod has the IP address %s of its own", ip)
	}
	r, err := d.CRI().ListPodSandbox(t.Context(), &criapi.ListPodSandboxRequest{Filter: &criapi.PodSandboxFilter{Id: p.id}})
	if err != nil || len(r.GetItems()) != 1 {
		t.Fatalf("the list has %v, %v", r.GetItems(), err)
	}
	for _, ns := range []int64{r.GetItems()[0].GetCreatedAt(), p.status(t).GetCreatedAt()} {
		if age := time.Since(time.Unix(0, ns)); age < 0 || age > time.Hour {
			t.Errorf("the pod is %v old", age)
		}
	}
	if s := p.status(t).GetRuntimeHandler(); s != daemon.Handler {
		t.Errorf("runtime handler %q", s)
	}
	c := p.run(t, containerConfig("hello-c"))
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); got != "hello from C\n" {
		t.Errorf("log %q", got)
	}
}

// No pause image, no pause process, no shim.
func TestPodIsNoProcess(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, own)
	p.run(t, containerConfig("sleep")).waitForLog(t, "sleeping")
	if all := d.Processes(); len(all) != 1 {
		t.Errorf("processes besides the daemon: %v", all)
	}
	r, err := d.CRIImages().ListImages(t.Context(), &criapi.ListImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range r.GetImages() {
		if strings.Contains(strings.Join(i.GetRepoTags(), " "), "pause") {
			t.Errorf("image %v is there", i.GetRepoTags())
		}
	}
}

func TestPodWithANetworkOfItsOwn(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, own)
	ip := net.ParseIP(p.status(t).GetNetwork().GetIp())
	_, subnet, err := net.ParseCIDR(d.Subnet)
	if err != nil {
		t.Fatal(err)
	}
	if !subnet.Contains(ip) {
		t.Errorf("the pod's IP address %v is not in %v", ip, subnet)
	}
	// What joins the pod finds its network through the pid.
	netns := procNS(podPID(t, p), "net")
	if got := inNetNS(t, netns, "ip", "-brief", "address", "show", "eth0"); !strings.Contains(got, ip.String()+"/24") {
		t.Errorf("eth0 in the pod is %q", got)
	}
	for file, want := range map[string]string{"ip_unprivileged_port_start": "0\n", "ping_group_range": "0\t2147483647\n"} {
		if got := inNetNS(t, netns, "cat", "/proc/sys/net/ipv4/"+file); got != want {
			t.Errorf("%s in the pod is %q, want %q", file, got, want)
		}
	}
}

func podPID(t *testing.T, p *pod) int {
	t.Helper()
	r, err := p.d.CRI().PodSandboxStatus(p.ctx, &criapi.PodSandboxStatusRequest{PodSandboxId: p.id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	return infoPID(t, r.GetInfo())
}

// procNS is where a namespace of a process or thread is, such as "net".
func procNS(pid int, kind string) string { return fmt.Sprintf("/proc/%d/ns/%s", pid, kind) }

// infoPID is the pid in the verbose status of a pod or a container.
func infoPID(t testing.TB, info map[string]string) int {
	t.Helper()
	var parsed struct{ Pid int }
	if err := json.Unmarshal([]byte(info["info"]), &parsed); err != nil || parsed.Pid == 0 {
		t.Fatalf("no pid in %v: %v", info, err)
	}
	return parsed.Pid
}

// inNetNS runs a command in a network namespace; /proc/sys/net shows that of the
// process which reads it.
func inNetNS(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nsenter", append([]string{"--net=" + path}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v in %s: %v: %s", args, path, err, out)
	}
	return string(out)
}

// A guest without rights listens on port 80 of its pod, and is reached there.
func TestGuestListensInItsPod(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, own)
	config := containerConfig(listenImage, "80")
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1000}}
	c := p.run(t, config)
	c.waitForLog(t, "listening")
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(p.status(t).GetNetwork().GetIp(), "80"), daemon.Patience)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	c.expectExit(t, 0, "Completed")
}

func TestManyPodsAtOnce(t *testing.T) {
	d := shared(t)
	var wg sync.WaitGroup
	for i := range 20 {
		network := own
		if i%2 == 1 {
			network = host
		}
		p := podConfig(t, d, network)
		wg.Go(func() { runPodToTheEnd(t, d, p, int32(i)) })
	}
	wg.Wait()
}

// runPodToTheEnd runs a pod of ours with one container that exits with code, and removes
// it. It is for goroutines, which must not end the test.
func runPodToTheEnd(t *testing.T, d *daemon.Daemon, config *criapi.PodSandboxConfig, code int32) {
	r, err := d.CRI().RunPodSandbox(t.Context(), &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: daemon.Handler})
	if err != nil {
		t.Error(err)
		return
	}
	p := &pod{d: d, id: r.GetPodSandboxId(), config: config, ctx: t.Context()}
	defer p.remove(t)
	runToTheEnd(t, p, code)
}

// runToTheEnd runs a container that exits with code, also for goroutines.
func runToTheEnd(t *testing.T, p *pod, code int32) {
	config := containerConfig("exit", fmt.Sprint(code))
	r, err := p.d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config})
	if err != nil {
		t.Error(err)
		return
	}
	c := &container{pod: p, id: r.GetContainerId()}
	if err := c.start(); err != nil {
		t.Error(err)
		return
	}
	for deadline := time.Now().Add(daemon.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s, err := p.d.CRI().ContainerStatus(p.ctx, &criapi.ContainerStatusRequest{ContainerId: c.id})
		if err != nil {
			t.Error(err)
			return
		}
		if s.GetStatus().GetState() == criapi.ContainerState_CONTAINER_EXITED {
			if got := s.GetStatus().GetExitCode(); got != code {
				t.Errorf("exit code %d, want %d", got, code)
			}
			return
		}
	}
	t.Error("a container did not end")
}
