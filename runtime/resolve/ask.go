// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	port = 53
	// maxDatagram is more than a server sends that was not told it may (512).
	maxDatagram = 4096
	// maxStream is room for some 500 addresses.
	maxStream = 16 << 10
	// maxStrays bounds the datagrams that are read for one answer.
	maxStrays = 64
)

// resolver asks the servers of one guest's configuration.
type resolver struct {
	config config
	dial   Dial
}

// lookup asks for the name as the search list says. It goes on after an answer that
// there is no such name, or of a server that cannot tell; if no server answers, it
// does not wait again for the next name.
func (r *resolver) lookup(ctx context.Context, name string, f families) (host, Errno) {
	errno := ErrNoName
	for _, candidate := range r.config.candidates(name) {
		a := r.addresses(ctx, candidate, f)
		switch {
		case a.outcome == found:
			return a.host, 0
		case a.outcome == silent:
			return host{}, ErrAgain
		case a.outcome == failed:
			errno = ErrAgain
		case a.outcome == noData && errno == ErrNoName:
			errno = ErrNoData
		}
	}
	return host{}, errno
}

// addresses asks for the addresses of both families at once.
func (r *resolver) addresses(ctx context.Context, name string, f families) answer {
	var inet4, inet6 answer
	var both sync.WaitGroup
	if f.inet6 {
		both.Go(func() { inet6 = r.ask(ctx, name, dnsmessage.TypeAAAA) })
	}
	if f.inet4 {
		inet4 = r.ask(ctx, name, dnsmessage.TypeA)
	}
	both.Wait()
	switch {
	case !f.inet6:
		return inet4
	case !f.inet4:
		return inet6
	}
	return merge(inet4, inet6)
}

// merge: addresses of one family are better than none. Otherwise the less certain
// answer counts, as the other question might have had one.
func merge(a, b answer) answer {
	switch {
	case a.outcome == found && b.outcome == found:
		a.addrs = append(a.addrs, b.addrs...)
		return a
	case a.outcome == found:
		return a
	case b.outcome == found || b.outcome > a.outcome:
		return b
	}
	return a
}

// ask asks the servers one after the other, several times, until one can answer.
func (r *resolver) ask(ctx context.Context, name string, kind dnsmessage.Type) answer {
	full, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return answer{outcome: noName}
	}
	last := answer{outcome: silent}
	first := 0
	if r.config.rotate {
		first = mathrand.IntN(len(r.config.servers))
	}
	for range r.config.attempts {
		for i := range r.config.servers {
			server := r.config.servers[(first+i)%len(r.config.servers)]
			a, err := r.exchange(ctx, server, &question{newID(), full, kind})
			switch {
			case ctx.Err() != nil:
				return answer{outcome: silent}
			case err == nil && a.outcome != failed:
				return a
			case err == nil:
				last = a
			}
		}
	}
	return last
}

// newID: together with the port, it is what others would have to guess (RFC 5452).
func newID() uint16 {
	var id [2]byte
	rand.Read(id[:])
	return binary.BigEndian.Uint16(id[:])
}

// exchange asks one server, over TCP if a datagram has no room for the answer.
func (r *resolver) exchange(ctx context.Context, server netip.Addr, q *question) (answer, error) {
	message, err := q.pack()
	if err != nil {
		return answer{}, err
	}
	if !r.config.tcp {
		a, err := r.over(ctx, UDP, server, func(conn Conn) (answer, error) { return askUDP(conn, message, q) })
		if err != nil || !a.truncated {
			return a, err
		}
	}
	return r.over(ctx, TCP, server, func(conn Conn) (answer, error) { return askTCP(conn, message, q) })
}

// over calls f with a socket that has the time of one question.
func (r *resolver) over(ctx context.Context, t Transport, server netip.Addr, f func(Conn) (answer, error)) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	conn, err := r.dial(t, netip.AddrPortFrom(server, port))
	if err != nil {
		return answer{}, fmt.Errorf("asking %v: %w", server, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(r.config.timeout)); err != nil {
		return answer{}, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	a, err := f(conn)
	if err != nil {
		return answer{}, fmt.Errorf("asking %v: %w", server, err)
	}
	return a, nil
}

func askUDP(conn Conn, message []byte, q *question) (answer, error) {
	if _, err := conn.Write(message); err != nil {
		return answer{}, err
	}
	buf := make([]byte, maxDatagram)
	for range maxStrays {
		n, err := conn.Read(buf)
		if err != nil {
			return answer{}, err
		}
		if a, err := q.parse(buf[:n]); !errors.Is(err, errNotOurs) {
			return a, err
		}
	}
	return answer{}, errNotOurs
}

// askTCP: each message follows its length (RFC 1035, 4.2.2).
func askTCP(conn Conn, message []byte, q *question) (answer, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(message)))
	if _, err := conn.Write(append(framed, message...)); err != nil {
		return answer{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return answer{}, err
	}
	size := binary.BigEndian.Uint16(length[:])
	if size > maxStream {
		return answer{}, fmt.Errorf("an answer of %d bytes, more than %d", size, maxStream)
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(conn, buf); err != nil {
		return answer{}, err
	}
	a, err := q.parse(buf)
	if err == nil && a.truncated {
		err = errNotOurs
	}
	return a, err
}
