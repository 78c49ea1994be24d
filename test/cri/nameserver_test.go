// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
)

// names are those that a name server knows, written in full, with their addresses. Of
// one that has broken for its only address, it says that it cannot tell.
type names map[string][]string

const broken = "broken"

// nameServer is one for tests, over UDP and TCP.
type nameServer struct {
	address string
	names   names
	silent  bool // takes questions, and never answers

	mu    sync.Mutex
	asked []string
}

// podNameServer answers in the namespace of a pod, on its address.
func podNameServer(t *testing.T, p *pod, names names) *nameServer {
	t.Helper()
	s := &nameServer{address: p.status(t).GetNetwork().GetIp(), names: names}
	s.startIn(t, procNS(podPID(t, p), "net"))
	return s
}

func (s *nameServer) startIn(t *testing.T, netns string) {
	t.Helper()
	s.start(t, func(f func() error) error { return inNamespace(netns, f) })
}

// start makes its sockets by within.
func (s *nameServer) start(t *testing.T, within func(func() error) error) {
	t.Helper()
	err := within(func() error {
		address := net.JoinHostPort(s.address, "53")
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { udp.Close() })
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { tcp.Close() })
		go s.serveUDP(udp)
		go s.serveTCP(tcp)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inNamespace calls f in a network namespace.
func inNamespace(netns string, f func() error) (err error) {
	osthread.Do(func() {
		var file *os.File
		if file, err = os.Open(netns); err != nil {
			return
		}
		defer file.Close()
		if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err == nil {
			err = f()
		}
	})
	return err
}

// maxDatagram is how long an answer is at most (RFC 1035, 4.2.1).
const maxDatagram = 512

func (s *nameServer) serveUDP(conn net.PacketConn) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		m, err := s.answer(buf[:n])
		if err != nil {
			continue
		}
		answer, err := m.Pack()
		if len(answer) > maxDatagram {
			m.Truncated, m.Answers = true, nil
			answer, err = m.Pack()
		}
		if err == nil && !s.silent {
			_, _ = conn.WriteTo(answer, from) // who asked may have ended
		}
	}
}

func (s *nameServer) serveTCP(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_ = s.serveOne(conn) // who asked may have ended
		conn.Close()
	}
}

func (s *nameServer) serveOne(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	m, err := s.answer(question)
	if err != nil {
		return err
	}
	answer, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// answer: that the names have their addresses, and that there are no other names.
func (s *nameServer) answer(question []byte) (m dnsmessage.Message, err error) {
	if err := m.Unpack(question); err != nil {
		return m, err
	}
	m.Response, m.RCode = true, dnsmessage.RCodeNameError
	for _, q := range m.Questions {
		s.note(q)
		addresses, ok := s.names[q.Name.String()]
		switch {
		case !ok:
		case slices.Equal(addresses, []string{broken}):
			m.RCode = dnsmessage.RCodeServerFailure
		default:
			m.RCode = dnsmessage.RCodeSuccess
			m.Answers = append(m.Answers, resources(q, addresses)...)
		}
	}
	return m, nil
}

func resources(q dnsmessage.Question, addresses []string) (out []dnsmessage.Resource) {
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
	for _, s := range addresses {
		a := netip.MustParseAddr(s)
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			out = append(out, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			out = append(out, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return out
}

// note takes the questions for IPv4; those for IPv6 come at the same time.
func (s *nameServer) note(q dnsmessage.Question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Type == dnsmessage.TypeA {
		s.asked = append(s.asked, q.Name.String())
	}
}

// questions are the names that were asked for since the last call.
func (s *nameServer) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}
