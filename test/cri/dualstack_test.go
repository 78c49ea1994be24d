// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// dual has pods with addresses of both families, and ports of the host that lead to
// them. Its host is a network namespace of its own, so that the firewall is its own, too.
var dual = daemon.Shared(func(t testing.TB, d *daemon.Daemon) {
	d.Import(t, images.Wasm("web"))
	importSource(t, d, netImage, "testdata/net.c")
	// The first pod makes what stays for all others, such as the bridge and the
	// firewall's chains.
	p := runPod(t, d, withPorts(t, d, tcpPort(9999, 80)), daemon.Handler)
	p.run(t, containerConfig("web")).expectExit(t, 1, "Error")
	p.remove(t)
}, daemon.WithHostPorts(), daemon.WithDualStack(), daemon.WithOwnNetwork())

// dialFrom makes connections from the daemon's network.
func dialFrom(d *daemon.Daemon, network, address string) (conn net.Conn, err error) {
	err = d.InNetwork(func() error {
		conn, err = net.DialTimeout(network, address, daemon.Patience)
		return err
	})
	return conn, err
}

// clientOf is for requests from the daemon's network.
func clientOf(d *daemon.Daemon) *http.Client {
	return &http.Client{Timeout: daemon.Patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			return dialFrom(d, network, address)
		},
	}}
}

// echoed sends a datagram from the daemon's network, and returns the answer.
func echoed(t *testing.T, d *daemon.Daemon, address, text string) string {
	t.Helper()
	conn, err := dialFrom(d, "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(daemon.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if err != nil {
		t.Errorf("from %s: %v", address, err)
	}
	return string(buf[:n])
}

// ips are the pod's addresses, the first of IPv4 and the second of IPv6, as CNI gave them.
func (p *pod) ips(t *testing.T) (inet4, inet6 string) {
	t.Helper()
	network := p.status(t).GetNetwork()
	var all []netip.Addr
	for _, s := range append([]*criapi.PodIP{{Ip: network.GetIp()}}, network.GetAdditionalIps()...) {
		addr, err := netip.ParseAddr(s.GetIp())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, addr)
	}
	if len(all) != 2 || !netip.MustParsePrefix(p.d.Subnet).Contains(all[0]) || !netip.MustParsePrefix(p.d.Subnet6).Contains(all[1]) {
		t.Fatalf("the pod has %v, want one address in %s and one in %s", all, p.d.Subnet, p.d.Subnet6)
	}
	return all[0].String(), all[1].String()
}

// One server answers both families: to the host, to another pod, and by name.
func TestDualStack(t *testing.T) {
	d := dual(t)
	p := wasmPod(t, d, own)
	inet4, inet6 := p.ips(t)
	config := containerConfig("web", "serve", "[::]:80")
	config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{RunAsUser: &criapi.Int64Value{Value: 1000}}
	p.run(t, config).waitForLog(t, "listening on [::]:80")
	p.run(t, containerConfig("web", "echo", "[::]:7")).waitForLog(t, "listening")
	want := "hello from " + p.config.GetHostname() + " to /path"
	other := wasmPod(t, d, own)
	for _, ip := range []string{inet4, inet6} {
		if got := getFromHost(t, clientOf(d), "http://"+net.JoinHostPort(ip, "80")+"/path"); got != want {
			t.Errorf("the host got %q from %s, want %q", got, ip, want)
		}
		if got := echoed(t, d, net.JoinHostPort(ip, "7"), "datagram"); got != "datagram" {
			t.Errorf("the host got %q from %s", got, ip)
		}
		other.expectTalk(t, "tcp", ip, "80", get, want)
		other.expectTalk(t, "udp", ip, "7", "datagram", "datagram")
	}
	// A name server that has an address of IPv6 only.
	server := &nameServer{address: inet6, names: names{
		"both.ns.svc.cluster.local.": {inet4, inet6},
		"six.ns.svc.cluster.local.":  {inet6},
	}}
	server.startIn(t, procNS(podPID(t, p), "net"))
	client := withDNS(t, d, own, inet6, "ndots:5")
	// IPv6 comes first where it can be reached (RFC 6724).
	if got := client.run(t, lookup(t, "both", "")).found(t); got != inet6+" "+inet4 {
		t.Errorf("both is %q, want %s and %s", got, inet6, inet4)
	}
	client.expectTalk(t, "tcp", "six", "80", get, want)
}

// Pods whose network is a link of their own to the host.
func TestPointToPoint(t *testing.T) {
	d := daemon.Start(t, daemon.WithPTP(), daemon.WithDualStack(), daemon.WithOwnNetwork())
	importSource(t, d, netImage, "testdata/net.c")
	first := wasmPod(t, d, own) // it makes what stays
	first.expectTalk(t, "tcp", "127.0.0.1", "80", "text", refused)
	first.remove(t)
	before := d.Resources(t)
	p, other := wasmPod(t, d, own), wasmPod(t, d, own)
	inet4, inet6 := p.ips(t)
	p.run(t, containerConfig(netImage, "serve", "80")).waitForLog(t, "listening")
	for _, ip := range []string{inet4, inet6} {
		if err := expectEcho(d, net.JoinHostPort(ip, "80")); err != nil {
			t.Error(err)
		}
		p.expectTalk(t, "tcp", ip, "80", "to itself", "to itself")
		other.expectTalk(t, "tcp", ip, "80", "to the other", "to the other")
	}
	other.remove(t)
	p.remove(t)
	d.CheckLeaks(t, before)
}
