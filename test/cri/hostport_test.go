// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

func withPorts(t testing.TB, d *daemon.Daemon, ports ...*criapi.PortMapping) *criapi.PodSandboxConfig {
	t.Helper()
	config := podConfig(t, d, own)
	config.PortMappings = ports
	return config
}

func tcpPort(host, pod int32) *criapi.PortMapping {
	return &criapi.PortMapping{Protocol: criapi.Protocol_TCP, HostPort: host, ContainerPort: pod}
}

// gateways are the host's addresses on the pods' network: the first of each subnet.
func gateways(d *daemon.Daemon) (inet4, inet6 string) {
	return netip.MustParsePrefix(d.Subnet).Addr().Next().String(), netip.MustParsePrefix(d.Subnet6).Addr().Next().String()
}

func TestHostPorts(t *testing.T) {
	d := dual(t)
	inet4, inet6 := gateways(d)
	before := firewall(t, d)
	p := runPod(t, d, withPorts(t, d,
		tcpPort(8080, 80),
		&criapi.PortMapping{Protocol: criapi.Protocol_UDP, HostPort: 8007, ContainerPort: 7},
		&criapi.PortMapping{Protocol: criapi.Protocol_TCP, HostPort: 8081, ContainerPort: 80, HostIp: "127.0.0.1"},
	), daemon.Handler)
	p.run(t, containerConfig("web", "serve", "[::]:80")).waitForLog(t, "listening")
	p.run(t, containerConfig("web", "echo", "[::]:7")).waitForLog(t, "listening")
	want := "hello from " + p.config.GetHostname() + " to /path"
	for _, address := range []string{"127.0.0.1:8080", inet4 + ":8080", "[" + inet6 + "]:8080", "127.0.0.1:8081"} {
		if got := getFromHost(t, clientOf(d), "http://"+address+"/path"); got != want {
			t.Errorf("the host got %q from %s, want %q", got, address, want)
		}
	}
	if conn, err := dialFrom(d, "tcp", inet4+":8081"); err == nil {
		conn.Close()
		t.Error("a port of the host's loopback address is there on another one")
	}
	for _, address := range []string{inet4 + ":8007", "[" + inet6 + "]:8007"} {
		if got := echoed(t, d, address, "datagram"); got != "datagram" {
			t.Errorf("the host got %q from %s", got, address)
		}
	}
	other := wasmPod(t, d, own)
	other.expectTalk(t, "tcp", inet4, "8080", get, want)
	other.expectTalk(t, "tcp", inet6, "8080", get, want)
	p.remove(t)
	if conn, err := dialFrom(d, "tcp", "127.0.0.1:8080"); err == nil {
		conn.Close()
		t.Error("the port outlived its pod")
	}
	other.expectTalk(t, "tcp", inet4, "8080", get, refused)
	if after := firewall(t, d); !slices.Equal(after, before) {
		t.Errorf("the firewall has %q, and had %q", after, before)
	}
}

// firewall is what the daemon's network has for ports of the host.
func firewall(t *testing.T, d *daemon.Daemon) []string {
	t.Helper()
	var rules []string
	err := d.InNetwork(func() error {
		for _, command := range []string{"iptables", "ip6tables"} {
			out, err := exec.CommandContext(t.Context(), command, "-t", "nat", "-S").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", command, err, out)
			}
			rules = append(rules, strings.Split(string(out), "\n")...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rules)
	return rules
}

// Many pods that get and lose ports at the same time share the firewall.
func TestHostPortsOfPodsThatComeAndGo(t *testing.T) {
	d := dual(t)
	before := firewall(t, d)
	configs := make([]*criapi.PodSandboxConfig, 10)
	for i := range configs {
		configs[i] = withPorts(t, d, tcpPort(8100+int32(i), 80))
	}
	var wg sync.WaitGroup
	for i, config := range configs {
		wg.Go(func() { servePort(t, d, config, fmt.Sprintf("127.0.0.1:%d", 8100+i)) })
	}
	wg.Wait()
	if after := firewall(t, d); !slices.Equal(after, before) {
		t.Errorf("the firewall has %q, and had %q", after, before)
	}
}

// servePort runs a pod that returns what is sent to an address of the host. It is for
// goroutines, which must not end the test.
func servePort(t *testing.T, d *daemon.Daemon, config *criapi.PodSandboxConfig, address string) {
	r, err := d.CRI().RunPodSandbox(t.Context(), &criapi.RunPodSandboxRequest{Config: config, RuntimeHandler: daemon.Handler})
	if err != nil {
		t.Error(err)
		return
	}
	p := &pod{d: d, id: r.GetPodSandboxId(), config: config, ctx: t.Context()}
	defer p.remove(t)
	c, err := d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{
		PodSandboxId: p.id, Config: containerConfig(netImage, "serve", "80"), SandboxConfig: config,
	})
	if err != nil {
		t.Error(err)
		return
	}
	if err := (&container{pod: p, id: c.GetContainerId()}).start(); err != nil {
		t.Error(err)
		return
	}
	if err := expectEcho(d, address); err != nil {
		t.Error(err)
	}
}

// expectEcho waits until a server in the daemon's network returns what it is sent.
func expectEcho(d *daemon.Daemon, address string) (err error) {
	for deadline := time.Now().Add(daemon.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var conn net.Conn
		if conn, err = dialFrom(d, "tcp", address); err != nil {
			continue
		}
		err = echo(conn, address)
		conn.Close()
		if err == nil {
			return nil
		}
	}
	return err
}

func echo(conn net.Conn, text string) error {
	if err := conn.SetDeadline(time.Now().Add(daemon.Patience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return err
	}
	if string(buf) != text {
		return fmt.Errorf("got %q, want %q", buf, text)
	}
	return nil
}
