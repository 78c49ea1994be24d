// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) -> `)

// forward is `kubectl port-forward`. Connections to the address lead to the pod's port.
func (p *pod) forward(t *testing.T, port string) (term *daemon.Terminal, address string) {
	t.Helper()
	term = p.d.CrictlOnTerminal(t, "port-forward", p.id, ":"+port)
	daemon.Eventually(t, "the forwarding of a port", func() error {
		found := forwarding.FindStringSubmatch(term.Text())
		if found == nil {
			return errors.New(term.Text())
		}
		address = found[1]
		return nil
	})
	return term, address
}

// dial makes a connection that neither lasts for ever nor outlives the test.
func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, daemon.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(daemon.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func TestPortForward(t *testing.T) {
	d := webDaemon(t)
	p := wasmPod(t, d, own)
	p.run(t, containerConfig(netImage, "serve", "80")).waitForLog(t, "listening")
	p.run(t, containerConfig("web", "serve", "127.0.0.1:8080")).waitForLog(t, "listening")

	t.Run("both ways", func(t *testing.T) {
		_, address := p.forward(t, "80")
		// One after the other: each ends before the next is served.
		for range 3 {
			conn := dial(t, address)
			text := numbers(100_000)
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(conn, text)
				sent <- err
			}()
			got := make([]byte, len(text))
			if n, err := io.ReadFull(conn, got); err != nil || string(got) != text {
				t.Fatalf("%d of %d bytes came back (%v)", n, len(text), err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			// The end of what one side sends is the end of all, as upstream has it.
			if err := conn.CloseWrite(); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
				t.Errorf("after the end: %q, %v", rest, err)
			}
		}
	})
	t.Run("many at once", func(t *testing.T) {
		_, address := p.forward(t, "8080")
		want := "hello from " + p.config.GetHostname() + " to /path"
		client := &http.Client{Timeout: daemon.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 5 {
					if got := getFromHost(t, client, "http://"+address+"/path"); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
			})
		}
		all.Wait()
	})
	t.Run("nobody listens", func(t *testing.T) {
		term, address := p.forward(t, "81")
		if got, err := io.ReadAll(dial(t, address)); len(got) > 0 {
			t.Errorf("got %q (%v)", got, err)
		}
		term.Expect(t, "failed to connect to localhost:81")
		term.Expect(t, "connection refused")
	})
}

// Ports of a pod on the host's network are the host's, and those of another pod are not.
func TestPortForwardToTheHostsNetwork(t *testing.T) {
	d := webDaemon(t)
	p := wasmPod(t, d, host)
	server := daemon.FreeAddress()
	p.run(t, containerConfig("web", "serve", server)).waitForLog(t, "listening")
	_, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	_, address := p.forward(t, port)
	want := "hello from " + p.config.GetHostname() + " to /path"
	if got := getFromHost(t, http.DefaultClient, "http://"+address+"/path"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	term, address := wasmPod(t, d, own).forward(t, port)
	if got, err := io.ReadAll(dial(t, address)); len(got) > 0 {
		t.Errorf("from another pod: got %q (%v)", got, err)
	}
	term.Expect(t, "connection refused")
}

// A client that is connected holds up nobody, and learns of the end.
func TestPortForwardToAPodThatEnds(t *testing.T) {
	d := shared(t)
	for name, end := range map[string]func(*container){
		"container": func(c *container) { c.stop(t, 30) },
		"pod":       func(c *container) { c.pod.remove(t) },
	} {
		t.Run(name, func(t *testing.T) {
			p := wasmPod(t, d, own)
			c := p.run(t, containerConfig(netImage, "serve", "80"))
			c.waitForLog(t, "listening")
			_, address := p.forward(t, "80")
			conn := dial(t, address)
			if err := echo(conn, "text"); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			end(c)
			if took := time.Since(begin); took > patience.For(5*time.Second) {
				t.Errorf("it took %v", took)
			}
			if rest, _ := io.ReadAll(conn); len(rest) > 0 {
				t.Errorf("after the end: %q", rest)
			}
		})
	}
	p := wasmPod(t, d, own)
	p.stop(t)
	out := d.Crictl(t, "", "port-forward", p.id, ":80")
	if out.Code == 0 || !strings.Contains(out.Stderr, "not running") {
		t.Errorf("to a pod that is stopped: %+v", out)
	}
}
