// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// given is what peer.c sends.
const given = 128 * 65536

// A peer lets a guest's call go on after a pause. The guest sees the call's result then, and
// no interruption: also with timeouts, for which the kernel does not begin the call again.
func TestPauseWhileAPeerKeepsTheGuestWaiting(t *testing.T) {
	for _, call := range []string{"accept", "connect", "recv", "read", "send", "write", "output"} {
		for _, timeouts := range []string{"", "timeouts"} {
			if call == "output" && timeouts != "" {
				continue // it is a pipe
			}
			t.Run(strings.TrimSpace(call+" "+timeouts), func(t *testing.T) {
				t.Parallel()
				pauseWithPeer(t, call, timeouts)
			})
		}
	}
}

func pauseWithPeer(t *testing.T, call, timeouts string) {
	s := spec(t, "peer")
	s.NewNetNS = false
	stdout := filepath.Join(t.TempDir(), "stdout")
	if err := unix.Mkfifo(stdout, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Stdio[1] = File{Path: stdout, Flags: unix.O_RDWR}
	out, err := os.OpenFile(stdout, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	if err := out.SetDeadline(time.Now().Add(patience.For(time.Minute))); err != nil {
		t.Fatal(err)
	}
	port, letGo := peers[call](t, out)
	s.Args = append(s.Args, call, strconv.Itoa(port))
	if timeouts != "" {
		s.Args = append(s.Args, timeouts)
	}
	g := started(t, s)
	time.Sleep(100 * time.Millisecond)
	for range 3 {
		pause(t, g)
		time.Sleep(20 * time.Millisecond)
		if over(g) {
			t.Fatalf("the guest was not kept waiting: %+v", g.Result())
		}
		resume(t, g)
		time.Sleep(20 * time.Millisecond)
	}
	if over(g) {
		t.Fatalf("the guest did not wait on: %+v", g.Result())
	}
	pause(t, g)
	letGo()
	time.Sleep(100 * time.Millisecond)
	if over(g) {
		t.Fatal("the guest went on while it was paused")
	}
	resume(t, g)
	select {
	case <-g.Done():
	case <-time.After(patience.For(30 * time.Second)):
		t.Fatal("the guest does not go on")
	}
	if got := g.Result(); got.Ending != Exited || got.Code != 0 {
		t.Errorf("ended with %+v", got)
	}
}

// peers by the guest's call: each returns a port, and what lets the guest go on. Output is
// read from out.
var peers = map[string]func(t *testing.T, out *os.File) (port int, letGo func()){
	"accept": func(t *testing.T, out *os.File) (int, func()) {
		return 0, func() {
			port, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Error(err)
			}
			conn, err := net.Dial("tcp4", "127.0.0.1:"+strings.TrimSpace(port))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	},
	"connect": fullListener,
	"recv":    func(t *testing.T, _ *os.File) (int, func()) { return listening(t, sendLine) },
	"read":    func(t *testing.T, _ *os.File) (int, func()) { return listening(t, sendLine) },
	"send":    func(t *testing.T, _ *os.File) (int, func()) { return listening(t, takeAll) },
	"write":   func(t *testing.T, _ *os.File) (int, func()) { return listening(t, takeAll) },
	"output": func(t *testing.T, out *os.File) (int, func()) {
		return 0, func() { during(t, func() { takeAll(t, out) }) }
	},
}

func sendLine(t *testing.T, conn io.ReadWriter) {
	if _, err := io.WriteString(conn, "line"); err != nil {
		t.Error(err)
	}
}

func takeAll(t *testing.T, r io.ReadWriter) {
	if n, err := io.CopyN(io.Discard, r, given); err != nil {
		t.Errorf("got %d bytes: %v", n, err)
	}
}

// during has the test wait for f at its end.
func during(t *testing.T, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	t.Cleanup(func() { <-done })
}

// listening accepts one connection, and does something with it when it is told to.
func listening(t *testing.T, then func(*testing.T, io.ReadWriter)) (int, func()) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port, func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { conn.Close() })
		during(t, func() { then(t, conn) })
	}
}

// fullListener has as many connections that nobody accepted as it takes: the guest's does
// not come through before there are less. The kernel tries it again after a second, then
// after two.
func fullListener(t *testing.T, _ *os.File) (int, func()) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*unix.SockaddrInet4).Port
	fill, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port)) // a queue of 0 takes one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fill.Close() })
	return port, func() {
		conn, _, err := unix.Accept(fd)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { unix.Close(conn) })
	}
}
