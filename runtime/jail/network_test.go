// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// network is a network namespace with a loopback interface that is up. A thread holds
// it, and makes sockets in it.
type network struct {
	path string
	work chan func()
}

func newNetwork(tb testing.TB) *network {
	tb.Helper()
	n := &network{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.path = "/proc/" + strconv.Itoa(os.Getpid()) + "/task/" + strconv.Itoa(unix.Gettid()) + "/ns/net"
		if err == nil {
			err = exec.Command("ip", "link", "set", "lo", "up").Run()
		}
		ready <- err
		for f := range n.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { close(n.work) })
	return n
}

// silentServer takes questions and never answers.
func (n *network) silentServer(tb testing.TB) net.PacketConn {
	tb.Helper()
	var conn net.PacketConn
	var err error
	done := make(chan struct{})
	n.work <- func() {
		conn, err = net.ListenPacket("udp4", "127.0.0.1:53")
		close(done)
	}
	<-done
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// server has the addresses of some names, in full, and no others.
func (n *network) server(tb testing.TB, names map[string][4]byte) {
	tb.Helper()
	conn := n.silentServer(tb)
	go func() {
		buf := make([]byte, 512)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.RCode = true, dnsmessage.RCodeNameError
			if addr, ok := names[q.Name.String()]; ok {
				m.RCode = dnsmessage.RCodeSuccess
				if q.Type == dnsmessage.TypeA {
					m.Answers = []dnsmessage.Resource{{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
						Body:   &dnsmessage.AResource{A: addr},
					}}
				}
			}
			if out, err := m.Pack(); err == nil {
				conn.WriteTo(out, from)
			}
		}
	}()
}
