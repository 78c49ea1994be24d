// SPDX-License-Identifier: Apache-2.0

// Package resolve answers getaddrinfo(3) for guests: literals, the guest's hosts file,
// and the DNS servers that its resolv.conf(5) names, over sockets in its network
// namespace. It reads no file, and nothing of the host's: all that it goes by is in the
// query, which comes from a guest and may be anything, as may the servers' answers.
//
// The work for a query is bounded: in time by MaxTime, in the number of names and
// servers by resolv.conf's limits, in memory by the sizes of two files and of the
// answers that are accepted.
package resolve

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// MaxTime bounds a lookup, whatever the guest's resolv.conf says.
const MaxTime = 30 * time.Second

// MaxAddresses bounds the addresses of a Result.
const MaxAddresses = 32

// Query is what a guest asks, none of it checked. The numbers are those of WasmEdge's
// extension to WASI (thirdparty/wasi/api.hpp).
type Query struct {
	Node, Service              string // empty: not given
	Flags                      uint16 // AI_*
	Family, SockType, Protocol uint8
	ResolvConf, Hosts          []byte // contents of the guest's files
}

// Address is one of those under which a service is reached.
type Address struct {
	netip.AddrPort
	SockType, Protocol uint8
}

// Result is the answer to a query, addresses in the order in which to try them.
type Result struct {
	Canonical string // if AI_CANONNAME asks for it
	Addresses []Address
}

// Transport is how a server is asked.
type Transport int

const (
	UDP Transport = iota
	TCP
)

// Conn is a socket that is connected, or about to be.
type Conn interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
}

// Dial makes a socket in the guest's network namespace. It does not wait until that is
// connected: the first write does.
type Dial func(Transport, netip.AddrPort) (Conn, error)

// Lookup answers a query. The error is 0 if there is an address. A lookup that takes
// too long, or whose ctx ends, is ErrAgain.
func Lookup(ctx context.Context, q *Query, dial Dial) (Result, Errno) {
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	if errno := q.check(); errno != 0 {
		return Result{}, errno
	}
	port, kinds, errno := q.service()
	if errno != 0 {
		return Result{}, errno
	}
	h, errno := q.host(ctx, dial)
	if errno != 0 {
		return Result{}, errno
	}
	var r Result
	if q.Flags&aiCanonName != 0 {
		r.Canonical = h.canonical
	}
	for _, addr := range h.addrs {
		for _, k := range kinds {
			if len(r.Addresses) < MaxAddresses {
				r.Addresses = append(r.Addresses, Address{netip.AddrPortFrom(addr, port), k.sockType, k.protocol})
			}
		}
	}
	return r, 0
}

// host is what a node's name stands for.
type host struct {
	canonical string
	addrs     []netip.Addr
}

// host finds the node's addresses, of the families that were asked for.
func (q *Query) host(ctx context.Context, dial Dial) (host, Errno) {
	if q.Node == "" {
		return q.nowhere(), 0
	}
	if addr, err := netip.ParseAddr(q.Node); err == nil {
		return q.literal(addr)
	}
	if q.Flags&aiNumericHost != 0 || !isName(q.Node) {
		return host{}, ErrNoName
	}
	h, errno := q.named(ctx, dial)
	if errno != 0 {
		return host{}, errno
	}
	h.addrs = q.choose(h.addrs, reachable(h.addrs, dial))
	if len(h.addrs) == 0 {
		return host{}, ErrNoData
	}
	return h, 0
}

// named looks where names are looked up, in turn.
func (q *Query) named(ctx context.Context, dial Dial) (host, Errno) {
	f := q.families()
	if h, ok := findInHosts(q.Hosts, q.Node, f); ok {
		return h, 0
	}
	if isLocalhost(q.Node) { // RFC 6761, 6.3: no server is asked
		return host{q.Node, f.filter(loopback)}, 0
	}
	r := resolver{config: parseConfig(q.ResolvConf), dial: dial}
	return r.lookup(ctx, q.Node, f)
}
