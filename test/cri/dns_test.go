// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// nameServer answers in the namespace of a pod, on its address: that each of the names,
// written in full, has the address, and that there is no other.
func nameServer(t *testing.T, p *pod, names map[string]string) (address string) {
	t.Helper()
	address = p.status(t).GetNetwork().GetIp()
	conn, err := listenIn(fmt.Sprintf("/proc/%d/ns/net", podPID(t, p)), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer, err := answerQuestion(buf[:n], names); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return address
}

// listenIn makes the socket on a thread that ends with it.
func listenIn(netns, address string) (conn net.PacketConn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		var f *os.File
		if f, err = os.Open(netns); err != nil {
			return
		}
		defer f.Close()
		if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err == nil {
			conn, err = net.ListenPacket("udp", net.JoinHostPort(address, "53"))
		}
	}()
	<-done
	return conn, err
}

func answerQuestion(question []byte, names map[string]string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.RCode = true, dnsmessage.RCodeNameError
	for _, q := range m.Questions {
		address, ok := names[q.Name.String()]
		if !ok {
			continue
		}
		m.RCode = dnsmessage.RCodeSuccess
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(address).To4())},
			})
		}
	}
	return m.Pack()
}
