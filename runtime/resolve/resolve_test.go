// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// server answers one question, over UDP and TCP; nil is no answer.
type server func(q dnsmessage.Question, t Transport) *dnsmessage.Message

// world is what a Dial reaches. Other addresses cannot be connected to.
type world struct {
	servers map[string]server

	mu    sync.Mutex
	asked []string
	open  atomic.Int32
}

// questions are those that servers were asked, in order. One that was given up may
// still be on its way.
func (w *world) questions() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *world) dial(t Transport, to netip.AddrPort) (Conn, error) {
	s, ok := w.servers[to.Addr().String()]
	if !ok {
		return nil, errors.New("network is unreachable")
	}
	here, there := net.Pipe()
	w.open.Add(1)
	go func() {
		defer there.Close()
		w.serve(s, t, there, to)
	}()
	return &counted{Conn: here, w: w}, nil
}

type counted struct {
	net.Conn
	w      *world
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.w.open.Add(-1)
	}
	return c.Conn.Close()
}

func (w *world) serve(s server, t Transport, conn net.Conn, to netip.AddrPort) {
	for {
		buf := make([]byte, 512)
		if t == TCP {
			if _, err := io.ReadFull(conn, buf[:2]); err != nil {
				return
			}
		}
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil {
			return
		}
		q := m.Questions[0]
		w.mu.Lock()
		w.asked = append(w.asked, strings.TrimSuffix(q.Name.String(), ".")+" "+strings.TrimPrefix(q.Type.String(), "Type")+" "+to.Addr().String())
		w.mu.Unlock()
		r := s(q, t)
		if r == nil {
			continue
		}
		r.ID, r.Response, r.Questions = m.ID, true, m.Questions
		out, err := r.Pack()
		if err != nil {
			panic(err)
		}
		if t == TCP {
			out = append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// zone is a server with these records, "A 10.0.0.1" or "CNAME name" by name; a name
// without records exists. It knows no other name.
func zone(records map[string][]string) server {
	return func(q dnsmessage.Question, t Transport) *dnsmessage.Message {
		m := &dnsmessage.Message{}
		name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
		if _, ok := records[name]; !ok {
			m.RCode = dnsmessage.RCodeNameError
			return m
		}
		for range 20 {
			next := ""
			for _, r := range records[name] {
				kind, value, _ := strings.Cut(r, " ")
				h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET}
				switch {
				case kind == "CNAME":
					next = value
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(value + ".")}})
				case kind == "A" && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: netip.MustParseAddr(value).As4()}})
				case kind == "AAAA" && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(value).As16()}})
				}
			}
			if next == "" {
				break
			}
			name = next
		}
		if len(m.Answers) > 20 && t == UDP {
			m.Answers, m.Truncated = nil, true
		}
		return m
	}
}

func failing(code dnsmessage.RCode) server {
	return func(dnsmessage.Question, Transport) *dnsmessage.Message {
		return &dnsmessage.Message{Header: dnsmessage.Header{RCode: code}}
	}
}

func mute(dnsmessage.Question, Transport) *dnsmessage.Message { return nil }

// lookup returns the addresses in short, or the error.
func lookup(t *testing.T, w *world, q Query) ([]string, Errno) {
	t.Helper()
	r, errno := Lookup(t.Context(), &q, w.dial)
	var out []string
	for _, a := range r.Addresses {
		out = append(out, a.String())
	}
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
	return out, errno
}

const onlyStream = 2

func many(n int) []string {
	var records []string
	for i := range n {
		records = append(records, "A "+netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String())
	}
	return records
}

func TestServers(t *testing.T) {
	good := zone(map[string][]string{
		"web.example": {"A 10.0.0.1", "A 10.0.0.2"},
		"six.example": {"AAAA fd00::1"},
		"two.example": {"A 10.0.0.1", "AAAA fd00::1"},
		"cname":       {"CNAME web.example"},
		"loop":        {"CNAME loop"},
		"dangling":    {"CNAME nowhere.example"},
		"empty":       {},
		"huge":        many(40),
		"c0":          {"CNAME c1"}, "c1": {"CNAME c2"}, "c2": {"CNAME c3"}, "c3": {"CNAME c4"}, "c4": {"CNAME c5"},
		"c5": {"CNAME c6"}, "c6": {"CNAME c7"}, "c7": {"CNAME c8"}, "c8": {"CNAME c9"}, "c9": {"A 10.0.0.9"},
	})
	w := &world{servers: map[string]server{
		"10.0.0.53": good, "10.0.0.54": failing(dnsmessage.RCodeServerFailure), "10.0.0.55": failing(dnsmessage.RCodeRefused),
		"10.0.0.56": mute, "fd00::53": good,
	}}
	const quick = "options timeout:1 attempts:1\n"
	for _, tc := range []struct {
		name, conf string
		q          Query
		want       []string
		errno      Errno
	}{
		{"address", "nameserver 10.0.0.53\n", Query{Node: "web.example"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"case", "nameserver 10.0.0.53\n", Query{Node: "WEB.Example."}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"IPv6 server", "nameserver fd00::53\n", Query{Node: "six.example"}, []string{"[fd00::1]:80"}, 0},
		{"over TCP only", "nameserver 10.0.0.53\noptions use-vc\n", Query{Node: "web.example"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"family", "nameserver 10.0.0.53\n", Query{Node: "two.example", Family: familyINET6}, []string{"[fd00::1]:80"}, 0},
		{"no IPv6 route", "nameserver 10.0.0.53\n", Query{Node: "two.example"}, []string{"10.0.0.1:80", "[fd00::1]:80"}, 0},
		{"only what is reached", "nameserver 10.0.0.53\n", Query{Node: "two.example", Flags: aiAddrConfig}, nil, ErrNoData},
		{"mapped", "nameserver 10.0.0.53\n", Query{Node: "web.example", Family: familyINET6, Flags: aiV4Mapped}, []string{"[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.2]:80"}, 0},
		{"not mapped", "nameserver 10.0.0.53\n", Query{Node: "two.example", Family: familyINET6, Flags: aiV4Mapped}, []string{"[fd00::1]:80"}, 0},
		{"all", "nameserver 10.0.0.53\n", Query{Node: "two.example", Family: familyINET6, Flags: aiV4Mapped | aiAll}, []string{"[fd00::1]:80", "[::ffff:10.0.0.1]:80"}, 0},
		{"alias", "nameserver 10.0.0.53\n", Query{Node: "cname"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"alias of itself", "nameserver 10.0.0.53\n" + quick, Query{Node: "loop"}, nil, ErrAgain},
		{"too many aliases", "nameserver 10.0.0.53\n" + quick, Query{Node: "c0"}, nil, ErrAgain},
		{"many aliases", "nameserver 10.0.0.53\n", Query{Node: "c1"}, []string{"10.0.0.9:80"}, 0},
		{"alias of nothing", "nameserver 10.0.0.53\n", Query{Node: "dangling"}, nil, ErrNoData},
		{"no address", "nameserver 10.0.0.53\n", Query{Node: "empty"}, nil, ErrNoData},
		{"no name", "nameserver 10.0.0.53\n", Query{Node: "nowhere"}, nil, ErrNoName},
		{"the first fails", "nameserver 10.0.0.54\nnameserver 10.0.0.53\n", Query{Node: "cname"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"the first refuses", "nameserver 10.0.0.55\nnameserver 10.0.0.53\n", Query{Node: "cname"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"the first is out of reach", "nameserver 10.9.9.9\nnameserver 10.0.0.53\n", Query{Node: "cname"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"the first is silent", "nameserver 10.0.0.56\nnameserver 10.0.0.53\n" + quick, Query{Node: "cname"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, 0},
		{"all fail", "nameserver 10.0.0.54\nnameserver 10.0.0.55\n", Query{Node: "cname"}, nil, ErrAgain},
		{"all are silent", "nameserver 10.0.0.56\n" + quick, Query{Node: "cname"}, nil, ErrAgain},
		{"no configuration", "", Query{Node: "cname"}, nil, ErrAgain},
		{"address or nothing", "nameserver 10.0.0.53\n", Query{Node: "web.example", Flags: aiNumericHost}, nil, ErrNoName},
		{"no name at all", "nameserver 10.0.0.53\n", Query{Node: "a..b"}, nil, ErrNoName},
		{"a long name", "nameserver 10.0.0.53\n", Query{Node: strings.Repeat("a.", 126) + "aa"}, nil, ErrNoName},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := tc.q
			q.ResolvConf, q.Service, q.SockType = []byte(tc.conf), "http", onlyStream
			got, errno := lookup(t, w, q)
			if errno != tc.errno || !slices.Equal(got, tc.want) {
				t.Fatalf("got %q, error %d; want %q, error %d", got, errno, tc.want, tc.errno)
			}
		})
	}
	t.Run("truncated", func(t *testing.T) {
		got, errno := lookup(t, w, Query{Node: "huge", Service: "1", SockType: onlyStream, ResolvConf: []byte("nameserver 10.0.0.53")})
		if errno != 0 || len(got) != MaxAddresses {
			t.Fatalf("got %d addresses, error %d", len(got), errno)
		}
	})
}

// resolv.conf(5): what is asked for, in which order, and when to stop.
func TestSearchList(t *testing.T) {
	there := zone(map[string][]string{"a.b": {"A 10.0.0.1"}, "x.one.test": {"A 10.0.0.2"}, "x.two.test": {"A 10.0.0.3"}, "y": {"A 10.0.0.4"}, "empty.one.test": {}})
	for _, tc := range []struct {
		name, conf, node string
		asked            []string
		errno            Errno
	}{
		{"no list", "", "y", []string{"y"}, 0},
		{"list first", "search one.test two.test", "x", []string{"x.one.test"}, 0},
		{"along the list", "search no.test two.test", "x", []string{"x.no.test", "x.two.test"}, 0},
		{"then as it is", "search one.test", "y", []string{"y.one.test", "y"}, 0},
		{"dots enough", "search one.test", "a.b", []string{"a.b"}, 0},
		{"dots enough, and not there", "search one.test", "n.o", []string{"n.o", "n.o.one.test"}, ErrNoName},
		{"too few dots", "search one.test\noptions ndots:5", "a.b", []string{"a.b.one.test", "a.b"}, 0},
		{"no dots needed", "search one.test\noptions ndots:0", "y", []string{"y"}, 0},
		{"last dot", "search one.test\noptions ndots:5", "y.", []string{"y"}, 0},
		{"the last list counts", "search one.test\nsearch two.test", "x", []string{"x.two.test"}, 0},
		{"domain", "search no.test\ndomain two.test", "x", []string{"x.two.test"}, 0},
		{"nowhere", "search one.test", "z", []string{"z.one.test", "z"}, ErrNoName},
		{"somewhere without address", "search one.test", "empty", []string{"empty.one.test", "empty"}, ErrNoData},
		{"wrong domains", "search a..b " + strings.Repeat("x", 64) + " two.test.", "x", []string{"x.two.test"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{servers: map[string]server{"10.0.0.53": there}}
			_, errno := lookup(t, w, Query{Node: tc.node, Family: familyINET4, ResolvConf: []byte("nameserver 10.0.0.53\n" + tc.conf + "\n")})
			var asked []string
			for _, a := range w.questions() {
				asked = append(asked, strings.TrimSuffix(a, " A 10.0.0.53"))
			}
			if errno != tc.errno || !slices.Equal(asked, tc.asked) {
				t.Fatalf("asked for %q, error %d; want %q, error %d", asked, errno, tc.asked, tc.errno)
			}
		})
	}
}

// Each server is asked as often as the configuration says, and no name after the first
// that nobody answers.
func TestSilentServers(t *testing.T) {
	w := &world{servers: map[string]server{"10.0.0.1": mute, "10.0.0.2": mute}}
	begin := time.Now()
	_, errno := lookup(t, w, Query{Node: "x", Family: familyINET4, ResolvConf: []byte("nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a b c\noptions timeout:1 attempts:2")})
	want := []string{"x.a A 10.0.0.1", "x.a A 10.0.0.2", "x.a A 10.0.0.1", "x.a A 10.0.0.2"}
	if errno != ErrAgain || !slices.Equal(w.questions(), want) {
		t.Fatalf("asked %q, error %d", w.questions(), errno)
	}
	if took := time.Since(begin); took < 3*time.Second || took > 20*time.Second {
		t.Fatalf("took %v", took)
	}
}

// Whatever a configuration asks for, and servers do, a lookup ends at MaxTime.
func TestMaxTime(t *testing.T) {
	slowly := func(dnsmessage.Question, Transport) *dnsmessage.Message {
		time.Sleep(900 * time.Millisecond)
		return &dnsmessage.Message{Header: dnsmessage.Header{RCode: dnsmessage.RCodeServerFailure}}
	}
	for name, tc := range map[string]struct {
		server  server
		options string
	}{
		"silent":             {mute, "timeout:30 attempts:5"},
		"silent over TCP":    {mute, "timeout:30 attempts:5 use-vc"},
		"silent, in between": {mute, "timeout:7 attempts:5"},
		"slow failures":      {slowly, "timeout:1 attempts:5"},
	} {
		for _, family := range []uint8{0, familyINET4} {
			t.Run(fmt.Sprint(name, ", family ", family), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &world{servers: map[string]server{"10.0.0.1": tc.server, "10.0.0.2": tc.server, "10.0.0.3": tc.server}}
					conf := "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch" + strings.Repeat(" a.test", maxSearch) + "\noptions " + tc.options
					begin := time.Now()
					_, errno := lookup(t, w, Query{Node: "x", Family: family, ResolvConf: []byte(conf)})
					if took := time.Since(begin); took != 30*time.Second || errno != ErrAgain {
						t.Errorf("took %v, error %d", took, errno)
					}
					time.Sleep(time.Second) // for the servers
				})
			})
		}
	}
}

func TestHostsFile(t *testing.T) {
	hosts := "# comment\n127.0.0.1 localhost\n10.0.0.1\tpod.example Pod # alias\n\n10.0.0.2 pod\nfd00::1 pod\nnonsense pod\nfe80::1%eth0 pod\n10.0.0.9 #pod\n10.0.0.3 last"
	for _, tc := range []struct {
		node  string
		q     Query
		want  []string
		canon string
		errno Errno
	}{
		{"pod", Query{}, []string{"10.0.0.1:0", "10.0.0.2:0", "[fd00::1]:0"}, "", 0},
		{"POD.", Query{Family: familyINET4, Flags: aiCanonName}, []string{"10.0.0.1:0", "10.0.0.2:0"}, "pod.example", 0},
		{"pod", Query{Family: familyINET6}, []string{"[fd00::1]:0"}, "", 0},
		{"last", Query{}, []string{"10.0.0.3:0"}, "", 0},
		{"localhost", Query{}, []string{"127.0.0.1:0"}, "", 0},
		{"localhost", Query{Family: familyINET6}, []string{"[::1]:0"}, "", 0},
		{"a.localhost.", Query{}, []string{"127.0.0.1:0", "[::1]:0"}, "", 0},
		{"other", Query{}, nil, "", ErrAgain},
	} {
		q := tc.q
		q.Node, q.SockType, q.Hosts = tc.node, onlyStream, []byte(hosts)
		r, errno := Lookup(t.Context(), &q, (&world{}).dial)
		var got []string
		for _, a := range r.Addresses {
			got = append(got, a.String())
		}
		if errno != tc.errno || r.Canonical != tc.canon || !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %q, canonical %q, error %d", tc, got, r.Canonical, errno)
		}
	}
}

func TestHints(t *testing.T) {
	for _, tc := range []struct {
		name  string
		q     Query
		want  []Address
		errno Errno
	}{
		{"both kinds", Query{Node: "10.0.0.1", Service: "53"}, []Address{address("10.0.0.1:53", stream), address("10.0.0.1:53", datagram)}, 0},
		{"service of one kind", Query{Node: "10.0.0.1", Service: "ntp"}, []Address{address("10.0.0.1:123", datagram)}, 0},
		{"service of the other", Query{Node: "10.0.0.1", Service: "ntp", Protocol: 1}, nil, ErrService},
		{"not a number", Query{Node: "10.0.0.1", Service: "http", Flags: aiNumericServ}, nil, ErrNoName},
		{"port too large", Query{Node: "10.0.0.1", Service: "65536"}, nil, ErrService},
		{"negative port", Query{Node: "10.0.0.1", Service: "-1"}, nil, ErrService},
		{"passive", Query{Service: "80", Flags: aiPassive, SockType: 2}, []Address{address("0.0.0.0:80", stream), address("[::]:80", stream)}, 0},
		{"loopback", Query{Service: "80", Family: familyINET6, SockType: 2}, []Address{address("[::1]:80", stream)}, 0},
		{"the other family", Query{Node: "::1", Family: familyINET4}, nil, ErrAddrFamily},
		{"mapped", Query{Node: "10.0.0.1", Family: familyINET6, Flags: aiV4Mapped, SockType: 2}, []Address{address("[::ffff:10.0.0.1]:0", stream)}, 0},
		{"zone", Query{Node: "fe80::1%3", SockType: 2}, []Address{address("[fe80::1%3]:0", stream)}, 0},
		{"named zone", Query{Node: "fe80::1%eth0"}, nil, ErrNoName},
		{"nothing", Query{}, nil, ErrNoName},
		{"unknown flag", Query{Node: "x", Flags: 1 << 7}, nil, ErrBadFlag},
		{"canonical name of nothing", Query{Service: "80", Flags: aiCanonName}, nil, ErrBadFlag},
		{"unknown family", Query{Node: "x", Family: 3}, nil, ErrFamily},
		{"unknown kind", Query{Node: "x", SockType: 3}, nil, ErrSockType},
		{"stream over UDP", Query{Node: "x", SockType: 2, Protocol: 2}, nil, ErrSockType},
	} {
		r, errno := Lookup(t.Context(), &tc.q, (&world{}).dial)
		if errno != tc.errno || !slices.Equal(r.Addresses, tc.want) {
			t.Errorf("%s: got %+v, error %d", tc.name, r.Addresses, errno)
		}
	}
}

func address(s string, k kind) Address {
	return Address{netip.MustParseAddrPort(s), k.sockType, k.protocol}
}

func TestConfigLimits(t *testing.T) {
	c := parseConfig([]byte("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n" +
		"search" + strings.Repeat(" a.test", 40) + "\noptions ndots:99 timeout:999 attempts:0 rotate use-vc\n; options ndots:1\noptions timeout:x timeout:-1"))
	if len(c.servers) != maxServers || c.servers[2].String() != "10.0.0.3" || len(c.search) != maxSearch || c.ndots != maxNdots ||
		c.timeout != maxTimeout*time.Second || c.attempts != 1 || !c.rotate || !c.tcp {
		t.Errorf("got %+v", c)
	}
	c = parseConfig(nil)
	if c.servers[0].String() != "127.0.0.1" || c.ndots != 1 || c.timeout != 5*time.Second || c.attempts != 2 {
		t.Errorf("the default is %+v", c)
	}
}
