// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

var importWeb sync.Once

// webDaemon has the image of test/images/web, which takes long to build and to compile.
func webDaemon(t *testing.T) *daemon.Daemon {
	t.Helper()
	d := shared(t)
	importWeb.Do(func() {
		d.Import(t, images.Wasm("web"))
		wasmPod(t, d, own).run(t, containerConfig("web")).expectExit(t, 1, "Error")
	})
	return d
}

// webServer runs a server as a user without rights, and returns its pod.
func webServer(t *testing.T, d *daemon.Daemon) (p *pod, ip string) {
	t.Helper()
	p = wasmPod(t, d, own)
	config := containerConfig("web", "serve", ":80")
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1000}}
	p.run(t, config).waitForLog(t, "listening on 0.0.0.0:80")
	return p, p.status(t).GetNetwork().GetIp()
}

// clientPod asks a name server.
func clientPod(t *testing.T, d *daemon.Daemon, server *nameServer) *pod {
	t.Helper()
	return withDNS(t, d, own, server.address, "ndots:5", "timeout:1", "attempts:1")
}

// A Go program serves HTTP on its pod's address: to the host, and to a Go program in
// another pod that knows it by name.
func TestGoServesHTTP(t *testing.T) {
	d := webDaemon(t)
	server, ip := webServer(t, d)
	want := "hello from " + server.config.Hostname + " to /path"
	if got := getFromHost(t, http.DefaultClient, "http://"+ip+"/path"); got != want {
		t.Errorf("the host got %q, want %q", got, want)
	}
	dns := podNameServer(t, wasmPod(t, d, own), names{"web.ns.svc.cluster.local.": {ip}})
	client := clientPod(t, d, dns)
	for _, url := range []string{"http://" + ip + "/path", "http://web/path", "http://web.ns.svc/path"} {
		c := client.run(t, containerConfig("web", "get", url, "20"))
		c.expectExit(t, 0, "Completed")
		if got := c.logs(t, "stdout"); got != want+"\n" {
			t.Errorf("%s: got %q (%s), want %q", url, got, c.logs(t, "stderr"), want)
		}
	}
	c := client.run(t, containerConfig("web", "get", "http://nowhere/path", "1"))
	c.expectExit(t, 1, "Error")
	if got := c.logs(t, "stderr"); !strings.Contains(got, "getaddrinfo: errno 84") {
		t.Errorf("looking up no name: %q", got)
	}
}

func TestGoSendsDatagrams(t *testing.T) {
	d := webDaemon(t)
	p := wasmPod(t, d, own)
	ip := p.status(t).GetNetwork().GetIp()
	p.run(t, containerConfig("web", "echo", ":7")).waitForLog(t, "listening on 0.0.0.0:7")
	conn, err := net.Dial("udp", net.JoinHostPort(ip, "7"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 100)
	if err := conn.SetDeadline(time.Now().Add(daemon.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("from the host")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "from the host" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	dns := podNameServer(t, wasmPod(t, d, own), names{"echo.svc.cluster.local.": {ip}})
	c := clientPod(t, d, dns).run(t, containerConfig("web", "send", "echo:7", "from a pod"))
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); got != "from a pod\n" {
		t.Errorf("got %q (%s)", got, c.logs(t, "stderr"))
	}
}

// No request fails while other pods start and stop.
func TestServerAmongPodsThatComeAndGo(t *testing.T) {
	requests := int64(10_000 / patience.For(1))
	d := webDaemon(t)
	_, ip := webServer(t, d)
	stop := make(chan struct{})
	var pods, clients sync.WaitGroup
	pods.Go(func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				t.Logf("%d pods came and went", n)
				return
			default:
				onePod(t, d)
			}
		}
	})
	client := &http.Client{Timeout: daemon.Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	var left atomic.Int64
	left.Store(requests)
	begin := time.Now()
	for range 8 {
		clients.Go(func() {
			for left.Add(-1) >= 0 && !t.Failed() {
				getFromHost(t, client, "http://"+ip+"/")
			}
		})
	}
	clients.Wait()
	close(stop)
	pods.Wait()
	client.CloseIdleConnections()
	t.Logf("%d requests in %v", requests, time.Since(begin))
}

// onePod runs a pod with one container to its end. It is for goroutines.
func onePod(t *testing.T, d *daemon.Daemon) {
	config := podConfig(t, d, own)
	r, err := d.CRI().RunPodSandbox(t.Context(), &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: daemon.Handler})
	if err != nil {
		t.Error(err)
		return
	}
	p := &pod{d: d, id: r.GetPodSandboxId(), config: config, ctx: context.WithoutCancel(t.Context())}
	defer p.remove(t)
	runToTheEnd(t, p, 0)
}

// getFromHost is also for goroutines.
func getFromHost(t *testing.T, client *http.Client, url string) string {
	r, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Error(fmt.Errorf("status %s: %w", r.Status, err))
	}
	return string(body)
}
