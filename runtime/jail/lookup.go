// SPDX-License-Identifier: Apache-2.0

package jail

// #include "jail.h"
import "C"

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/containerd-wasm/containerd-wasm/runtime/resolve"
)

// lookups bounds the queries that are answered at once. A guest has one at most, so
// that those beyond wait only where there are more guests than that.
var lookups = make(chan struct{}, 1024)

// lookup answers what the guest asks, unless it does not wait for that any more. It is
// over soon after the guest is.
func (g *Guest) lookup() {
	ctx, cancel := context.WithTimeout(g.life, resolve.MaxTime)
	defer cancel()
	select {
	case lookups <- struct{}{}:
		defer func() { <-lookups }()
	case <-ctx.Done():
		// The question is taken all the same: the guest learns that nobody answers.
	}
	query, number := g.takeQuery()
	if query == nil {
		return
	}
	network, err := g.network(number)
	if err != nil {
		g.answer(number, resolve.Result{}, resolve.ErrAgain)
		return
	}
	defer network.Close()
	result, errno := resolve.Lookup(ctx, query, network.Dial)
	g.answer(number, result, errno)
}

// takeQuery copies the guest's question, nil if there is none.
func (g *Guest) takeQuery() (q *resolve.Query, number C.uint32_t) {
	g.withC(func(c *C.struct_jail) {
		from := C.jail_take_query(c)
		if from == nil {
			return
		}
		number = from.number
		q = &resolve.Query{
			Node:       C.GoString(&from.node[0]),
			Service:    C.GoString(&from.service[0]),
			Flags:      uint16(from.flags),
			Family:     uint8(from.family),
			SockType:   uint8(from.socktype),
			Protocol:   uint8(from.protocol),
			ResolvConf: goBytes(&from.resolv_conf),
			Hosts:      goBytes(&from.hosts),
		}
		C.jail_query_taken(c, number)
	})
	return q, number
}

func goBytes(b *C.struct_jail_bytes) []byte {
	return C.GoBytes(unsafe.Pointer(b.bytes), C.int(b.size))
}

// network opens the network namespace of the guest's thread. That its number is still
// this thread's, and no later one's, is known if the guest waits for its answer.
func (g *Guest) network(number C.uint32_t) (*resolve.Network, error) {
	network, err := resolve.OpenNetwork(fmt.Sprintf("/proc/self/task/%d/ns/net", g.tid))
	if err != nil {
		return nil, err
	}
	waits := false
	g.withC(func(c *C.struct_jail) { waits = C.jail_query_waits(c, number) != 0 })
	if !waits {
		network.Close()
		return nil, errDone
	}
	return network, nil
}

func (g *Guest) answer(number C.uint32_t, r resolve.Result, errno resolve.Errno) {
	to := C.struct_jail_answer{err: C.uint16_t(errno), n: C.uint32_t(min(len(r.Addresses), C.JAIL_MAX_ADDRESSES))}
	for i := range min(len(r.Canonical), len(to.canonical)-1) {
		to.canonical[i] = C.char(r.Canonical[i])
	}
	for i := range int(to.n) {
		to.addresses[i] = cAddress(&r.Addresses[i])
	}
	g.withC(func(c *C.struct_jail) { C.jail_answer(c, number, &to) })
}

func cAddress(a *resolve.Address) C.struct_jail_address {
	to := C.struct_jail_address{
		family:   C.JAIL_INET4,
		socktype: C.uint8_t(a.SockType),
		protocol: C.uint8_t(a.Protocol),
		port:     C.uint16_t(a.Port()),
		scope:    C.uint32_t(resolve.Scope(a.Addr())),
	}
	if a.Addr().Is6() {
		to.family = C.JAIL_INET6
	}
	for i, b := range a.Addr().AsSlice() {
		to.bytes[i] = C.uint8_t(b)
	}
	return to
}
