// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// withDNS is a pod that asks a name server, as kubelet configures it.
func withDNS(t *testing.T, d *daemon.Daemon, network criapi.NamespaceMode, server string, options ...string) *pod {
	t.Helper()
	config := podConfig(t, d, network)
	config.DnsConfig = &criapi.DNSConfig{
		Servers:  []string{server},
		Searches: []string{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local"},
		Options:  options,
	}
	return runPod(t, d, config, daemon.Handler)
}

// lookup describes a container that looks a name up, with a hosts file of its own, which
// kubelet writes.
func lookup(t *testing.T, name, hosts string) *criapi.ContainerConfig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	config := containerConfig(netImage, "lookup", name)
	config.Mounts = []*criapi.Mount{{HostPath: path, ContainerPath: "/etc/hosts"}}
	return config
}

// found is what the container that looked a name up wrote: addresses, or an error.
func (c *container) found(t *testing.T) string {
	t.Helper()
	c.wait(t)
	_, result, _ := strings.Cut(strings.TrimSpace(c.wholeLog(t, "stdout")), " ")
	words := strings.Fields(result)
	for i, w := range words {
		if a, err := netip.ParseAddr(w); err == nil {
			words[i] = a.String()
		}
	}
	return strings.Join(words, " ")
}

// What a lookup fails with.
const (
	noAnswer = "error 78"
	noData   = "error 83"
	noName   = "error 84"
)

func TestNames(t *testing.T) {
	var many []string
	for i := range 32 {
		many = append(many, fmt.Sprintf("10.2.0.%d", i+1))
	}
	d := shared(t)
	server := podNameServer(t, wasmPod(t, d, own), names{
		"web.ns.svc.cluster.local.":    {"10.1.1.1"},
		"web.other.svc.cluster.local.": {"10.1.1.2"},
		"both.svc.cluster.local.":      {"fd00::3", "10.1.1.3"},
		"six.svc.cluster.local.":       {"fd00::4"},
		"bare.svc.cluster.local.":      {},
		"broken.ns.svc.cluster.local.": {broken},
		"www.example.org.":             {"10.1.1.5"},
		"many.example.org.":            many,
	})
	const hosts = "127.0.0.1\tlocalhost\n10.9.9.9\tself.ns self\n"
	inAll := func(name string) (out []string) {
		for _, domain := range []string{"ns.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", ""} {
			out = append(out, name+"."+domain)
		}
		return out
	}
	for ndots, cases := range map[string][]struct {
		name, want string
		asked      []string
	}{
		"ndots:5": { // kubelet's
			{"web", "10.1.1.1", inAll("web")[:1]},
			{"web.other", "10.1.1.2", inAll("web.other")[:2]},
			{"both", "10.1.1.3 fd00::3", inAll("both")[:2]},
			{"six", "fd00::4", inAll("six")[:2]},
			{"www.example.org", "10.1.1.5", inAll("www.example.org")},
			{"www.example.org.", "10.1.1.5", []string{"www.example.org."}},
			{"nowhere", noName, inAll("nowhere")},
			{"bare", noData, inAll("bare")},
			{"broken", noAnswer, slices.Insert(inAll("broken"), 0, "broken.ns.svc.cluster.local.")}, // asked again
			{"self", "10.9.9.9", nil},
			{"SELF.ns", "10.9.9.9", nil},
			{"localhost", "127.0.0.1", nil},
			{"10.3.3.3", "10.3.3.3", nil},
			{"fd00::9", "fd00::9", nil},
			// A datagram has no room for these: the same question twice.
			{"many.example.org.", strings.Join(many, " "), []string{"many.example.org.", "many.example.org."}},
		},
		"ndots:2": {
			{"www.example.org", "10.1.1.5", []string{"www.example.org."}},
			{"web", "10.1.1.1", inAll("web")[:1]},
		},
	} {
		p := withDNS(t, d, own, server.address, ndots)
		for _, tc := range cases {
			t.Run(ndots+" "+tc.name, func(t *testing.T) {
				server.questions()
				if got := p.run(t, lookup(t, tc.name, hosts)).found(t); got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				if got := server.questions(); !slices.Equal(got, tc.asked) {
					t.Errorf("the server was asked for %q, want %q", got, tc.asked)
				}
			})
		}
	}
}

// A name server that is dead fails a lookup in bounded time.
func TestDeadNameServer(t *testing.T) {
	d := shared(t)
	dead := wasmPod(t, d, own) // refuses what is sent to the port
	silent := silentServer(t, d)
	for name, address := range map[string]string{"silent": silent.address, "not there": dead.status(t).GetNetwork().GetIp()} {
		t.Run(name, func(t *testing.T) {
			p := withDNS(t, d, own, address, "ndots:5", "timeout:1", "attempts:2")
			begin := time.Now()
			if got := p.run(t, lookup(t, "web", "")).found(t); got != noAnswer {
				t.Errorf("got %q, want %q", got, noAnswer)
			}
			// Twice a second, and not once more for each domain.
			if took := time.Since(begin); took > patience.For(10*time.Second) {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func silentServer(t *testing.T, d *daemon.Daemon) *nameServer {
	t.Helper()
	p := wasmPod(t, d, own)
	s := &nameServer{address: p.status(t).GetNetwork().GetIp(), silent: true}
	s.startIn(t, procNS(podPID(t, p), "net"))
	return s
}

// waitForQuestion waits until the server was asked for anything.
func (s *nameServer) waitForQuestion(t *testing.T) {
	t.Helper()
	daemon.Eventually(t, "a question", func() error {
		if len(s.questions()) == 0 {
			return errors.New("the server was asked for nothing")
		}
		return nil
	})
}

// A guest that waits for a name server can be ended as any other.
func TestStopDuringALookup(t *testing.T) {
	d := shared(t)
	server := silentServer(t, d)
	p := withDNS(t, d, own, server.address, "timeout:30", "attempts:5")
	for grace, code := range map[int64]int32{0: 137, 30: 143} {
		c := p.run(t, lookup(t, "web", ""))
		server.waitForQuestion(t)
		begin := time.Now()
		c.stop(t, grace)
		if took := time.Since(begin); took > patience.For(2*time.Second) {
			t.Errorf("with a grace period of %d s it took %v", grace, took)
		}
		c.expectExit(t, code, "Error")
	}
	p.run(t, lookup(t, "web", ""))
	server.waitForQuestion(t)
	begin := time.Now()
	p.remove(t)
	if took := time.Since(begin); took > patience.For(2*time.Second) {
		t.Errorf("removing the pod took %v", took)
	}
}

// What the node has for itself is not for guests: neither names in its hosts file, nor
// its name server.
func TestHostsFilesAreNotRead(t *testing.T) {
	const address = "127.0.0.53"
	d := daemon.Start(t, daemon.WithBridge(), daemon.WithOwnNetwork(), daemon.WithHostFiles(map[string]string{
		"/etc/hosts":       "127.0.0.1 localhost\n10.66.66.66 only-the-node\n",
		"/etc/resolv.conf": "nameserver " + address + "\n",
	}))
	importSource(t, d, netImage, "testdata/net.c")
	nodes := &nameServer{address: address, names: names{"only-the-node.": {"10.66.66.67"}, "known.": {"10.66.66.68"}}}
	nodes.start(t, d.InNetwork)

	t.Run("network of its own", func(t *testing.T) {
		server := podNameServer(t, wasmPod(t, d, own), names{"known.": {"10.1.1.1"}})
		expectOwnNames(t, withDNS(t, d, own, server.address), server)
	})
	t.Run("host network", func(t *testing.T) {
		server := &nameServer{address: "127.0.0.54", names: names{"known.": {"10.1.1.1"}}}
		server.start(t, d.InNetwork)
		expectOwnNames(t, withDNS(t, d, host, server.address), server)
	})
	if asked := nodes.questions(); len(asked) > 0 {
		t.Errorf("the node's name server was asked for %q", asked)
	}
	// As upstream: who asks for no other files gets copies of the node's.
	p := wasmPod(t, d, host)
	for name, want := range map[string]string{"only-the-node": "10.66.66.66", "known": "10.66.66.68"} {
		if got := p.run(t, containerConfig(netImage, "lookup", name)).found(t); got != want {
			t.Errorf("without files of its own: %s is %q, want %q", name, got, want)
		}
	}
}

// expectOwnNames: the pod has its own name server and hosts file, and knows no other.
func expectOwnNames(t *testing.T, p *pod, server *nameServer) {
	t.Helper()
	for name, want := range map[string]string{"only-the-node": noName, "known": "10.1.1.1", "self": "10.9.9.9"} {
		if got := p.run(t, lookup(t, name, "10.9.9.9 self\n")).found(t); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if asked := server.questions(); !slices.Contains(asked, "only-the-node.") {
		t.Errorf("the pod's name server was asked for %q", asked)
	}
}
