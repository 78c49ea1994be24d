// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func FuzzConfig(f *testing.F) {
	f.Add([]byte("nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:2 attempts:3 rotate use-vc\n"), "web")
	f.Add([]byte("domain .\n;x\nnameserver\nsearch\nnameserver fe80::1%1\noptions ndots: :"), "a.b.")
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		c := parseConfig(file)
		if len(c.servers) == 0 || len(c.servers) > maxServers || len(c.search) > maxSearch || c.ndots < 0 || c.ndots > maxNdots ||
			c.attempts < 1 || c.attempts > maxAttempts || c.timeout < 1 || c.timeout.Seconds() > maxTimeout {
			t.Fatalf("no limits: %+v", c)
		}
		if !isName(name) {
			return
		}
		for _, candidate := range c.candidates(name) {
			if _, err := dnsmessage.NewName(candidate + "."); err != nil || !isName(candidate) {
				t.Fatalf("asks for %q", candidate)
			}
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n10.0.0.1 pod.example pod # x\nfd00::1 pod\n"), "pod")
	f.Add([]byte("10.0.0.1"), "")
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		h, ok := findInHosts(file, name, families{true, true})
		if ok != (len(h.addrs) > 0) || len(h.addrs) > MaxAddresses || ok && h.canonical == "" {
			t.Fatalf("%+v, %v", h, ok)
		}
	})
}

// FuzzQuery is what a guest may ask, in a world without servers.
func FuzzQuery(f *testing.F) {
	f.Add("web", "http", uint16(0), uint8(0), uint8(2), uint8(1), []byte("nameserver 10.0.0.1"), []byte("10.0.0.1 web"))
	f.Add("", "80", uint16(aiPassive), uint8(1), uint8(0), uint8(0), []byte(nil), []byte(nil))
	f.Add("fe80::1%9", "", uint16(aiV4Mapped|aiAll|aiAddrConfig|aiCanonName), uint8(2), uint8(1), uint8(2), []byte(nil), []byte(nil))
	nobody := func(Transport, netip.AddrPort) (Conn, error) { return nil, errors.New("network is unreachable") }
	f.Fuzz(func(t *testing.T, node, service string, flags uint16, family, sockType, protocol uint8, conf, hosts []byte) {
		q := Query{node, service, flags, family, sockType, protocol, conf, hosts}
		r, errno := Lookup(context.Background(), &q, nobody)
		if (errno == 0) != (len(r.Addresses) > 0) || len(r.Addresses) > MaxAddresses {
			t.Fatalf("error %d with %+v", errno, r)
		}
		for _, a := range r.Addresses {
			if !a.IsValid() || family == familyINET4 && !a.Addr().Is4() || family == familyINET6 && !a.Addr().Is6() ||
				sockType != 0 && a.SockType != sockType || protocol != 0 && a.Protocol != protocol {
				t.Fatalf("%+v answers %+v", a, q)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	q := &question{id: 7, name: dnsmessage.MustNewName("web.example."), kind: dnsmessage.TypeA}
	header := dnsmessage.ResourceHeader{Name: q.name, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, Response: true},
		Questions: []dnsmessage.Question{{Name: q.name, Type: q.kind, Class: dnsmessage.ClassINET}},
	}
	for _, body := range []dnsmessage.ResourceBody{
		&dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}},
		&dnsmessage.AAAAResource{AAAA: [16]byte{0xfd}},
		&dnsmessage.CNAMEResource{CNAME: q.name},
		&dnsmessage.TXTResource{TXT: []string{"text"}},
	} {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		a, err := q.parse(message)
		if err == nil && !a.truncated && (a.outcome == found) != (len(a.addrs) > 0) || len(a.addrs) > MaxAddresses {
			t.Fatalf("%+v", a)
		}
	})
}
