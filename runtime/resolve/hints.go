// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"net/netip"
	"slices"
	"strconv"
)

// Flags of a query, as getaddrinfo(3) describes them.
const (
	aiPassive = 1 << iota
	aiCanonName
	aiNumericHost
	aiNumericServ
	aiV4Mapped
	aiAll
	aiAddrConfig
	aiKnown = 1<<iota - 1
)

const (
	familyAny = iota
	familyINET4
	familyINET6
)

// kind is a kind of socket; 0 stands for any.
type kind struct{ sockType, protocol uint8 }

var (
	datagram = kind{1, 2}
	stream   = kind{2, 1}
)

func (q *Query) check() Errno {
	switch {
	case q.Node == "" && q.Service == "":
		return ErrNoName
	case q.Flags&^aiKnown != 0 || q.Flags&aiCanonName != 0 && q.Node == "":
		return ErrBadFlag
	case q.Family > familyINET6:
		return ErrFamily
	}
	return 0
}

// service returns the service's port, and the kinds of sockets that were asked for and
// that it has.
func (q *Query) service() (uint16, []kind, Errno) {
	kinds := slices.DeleteFunc([]kind{stream, datagram}, func(k kind) bool {
		return q.SockType != 0 && q.SockType != k.sockType || q.Protocol != 0 && q.Protocol != k.protocol
	})
	if len(kinds) == 0 {
		return 0, nil, ErrSockType
	}
	if q.Service == "" {
		return 0, kinds, 0
	}
	if port, err := strconv.ParseUint(q.Service, 10, 16); err == nil {
		return uint16(port), kinds, 0
	}
	if q.Flags&aiNumericServ != 0 {
		return 0, nil, ErrNoName
	}
	s, ok := services[q.Service]
	kinds = slices.DeleteFunc(kinds, func(k kind) bool { return !slices.Contains(s.kinds, k) })
	if !ok || len(kinds) == 0 {
		return 0, nil, ErrService
	}
	return s.port, kinds, 0
}

var (
	tcpOnly = []kind{stream}
	udpOnly = []kind{datagram}
	both    = []kind{stream, datagram}
)

// services are those that programs ask for by name. The files that would have all of
// them (services(5)) are in no image of a module.
var services = map[string]struct {
	port  uint16
	kinds []kind
}{
	"amqp":       {5672, tcpOnly},
	"domain":     {53, both},
	"ftp":        {21, tcpOnly},
	"http":       {80, tcpOnly},
	"http-alt":   {8080, tcpOnly},
	"https":      {443, both}, // HTTP/3
	"imap":       {143, tcpOnly},
	"imaps":      {993, tcpOnly},
	"ldap":       {389, tcpOnly},
	"ldaps":      {636, tcpOnly},
	"mqtt":       {1883, tcpOnly},
	"mysql":      {3306, tcpOnly},
	"ntp":        {123, udpOnly},
	"pop3":       {110, tcpOnly},
	"pop3s":      {995, tcpOnly},
	"postgresql": {5432, tcpOnly},
	"redis":      {6379, tcpOnly},
	"smtp":       {25, tcpOnly},
	"ssh":        {22, tcpOnly},
	"submission": {587, tcpOnly},
	"syslog":     {514, udpOnly},
	"telnet":     {23, tcpOnly},
}

// families are those whose addresses are of use.
type families struct{ inet4, inet6 bool }

func (q *Query) families() families {
	mapped := q.Flags&aiV4Mapped != 0
	return families{inet4: q.Family != familyINET6 || mapped, inet6: q.Family != familyINET4}
}

func (f families) has(a netip.Addr) bool { return f.inet4 && a.Is4() || f.inet6 && a.Is6() }

func (f families) filter(addrs []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !f.has(a) })
}

var (
	loopback    = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	unspecified = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
)

// nowhere stands for a query without a node: all addresses of this host for who
// listens, else itself.
func (q *Query) nowhere() host {
	f := families{q.Family != familyINET6, q.Family != familyINET4}
	if q.Flags&aiPassive != 0 {
		return host{addrs: f.filter(unspecified)}
	}
	return host{addrs: f.filter(loopback)}
}

// literal: of zones, only numbers are understood, as names are another namespace's.
func (q *Query) literal(addr netip.Addr) (host, Errno) {
	if zone := addr.Zone(); zone != "" {
		if _, err := strconv.ParseUint(zone, 10, 32); err != nil {
			return host{}, ErrNoName
		}
	}
	addrs := []netip.Addr{addr}
	if !q.families().has(addr) {
		return host{}, ErrAddrFamily
	}
	return host{q.Node, q.choose(addrs, families{true, true})}, 0
}

// choose leaves the addresses that the flags ask for, and puts those first which can
// be reached. IPv6 goes before IPv4 if both can (RFC 6724).
func (q *Query) choose(addrs []netip.Addr, reached families) []netip.Addr {
	inet4, inet6 := families{inet4: true}.filter(addrs), families{inet6: true}.filter(addrs)
	if q.Flags&aiAddrConfig != 0 && !reached.inet4 {
		inet4 = nil
	}
	if q.Flags&aiAddrConfig != 0 && !reached.inet6 {
		inet6 = nil
	}
	if q.Family == familyINET6 { // IPv4 is there for AI_V4MAPPED only
		if len(inet6) > 0 && q.Flags&aiAll == 0 {
			inet4 = nil
		}
		for i, a := range inet4 {
			inet4[i] = netip.AddrFrom16(a.As16())
		}
		return append(inet6, inet4...)
	}
	if !reached.inet6 {
		return append(inet4, inet6...)
	}
	return append(inet6, inet4...)
}

// reachable says to which families there is a route, for addresses of both; else no
// question is worth a socket. Connecting a datagram socket sends nothing.
func reachable(addrs []netip.Addr, dial Dial) families {
	has := func(f families) bool { return slices.ContainsFunc(addrs, f.has) }
	if !has(families{inet4: true}) || !has(families{inet6: true}) {
		return families{true, true}
	}
	reach := func(f families) bool {
		i := slices.IndexFunc(addrs, f.has)
		conn, err := dial(UDP, netip.AddrPortFrom(addrs[i], 9))
		if err != nil {
			return false
		}
		conn.Close()
		return true
	}
	return families{reach(families{inet4: true}), reach(families{inet6: true})}
}
