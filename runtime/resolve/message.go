// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Limits of an answer.
const (
	maxRecords = 256
	maxCNAMEs  = 8
)

// errNotOurs: a message that does not answer the question. Whoever knows the port may
// send one.
var errNotOurs = errors.New("not an answer to the question")

// question is what a server is asked.
type question struct {
	id   uint16
	name dnsmessage.Name // with its last dot
	kind dnsmessage.Type
}

func (q *question) pack() ([]byte, error) {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: q.name, Type: q.kind, Class: dnsmessage.ClassINET}},
	}
	return m.Pack()
}

// outcome is what became of a question.
type outcome int

const (
	found  outcome = iota
	noData         // the name has no such records
	noName         // there is no such name
	failed         // servers answer that they cannot
	silent         // no server answers
)

// answer is a server's, or what the servers say together.
type answer struct {
	outcome   outcome
	truncated bool
	host
}

// parse reads a message of a server.
func (q *question) parse(message []byte) (answer, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.ID != q.id || !q.isIn(&p, header.RCode) {
		return answer{}, errNotOurs
	}
	switch {
	case header.Truncated:
		return answer{truncated: true}, nil
	case header.RCode == dnsmessage.RCodeNameError:
		return answer{outcome: noName}, nil
	case header.RCode != dnsmessage.RCodeSuccess:
		return answer{outcome: failed}, nil
	}
	r, err := readRecords(&p)
	if err != nil {
		return answer{}, fmt.Errorf("malformed answer: %w", err)
	}
	return r.follow(q.name), nil
}

// isIn says whether the message repeats the question. Some servers leave it out when
// they refuse.
func (q *question) isIn(p *dnsmessage.Parser, code dnsmessage.RCode) bool {
	asked, err := p.Question()
	if errors.Is(err, dnsmessage.ErrSectionDone) {
		return code != dnsmessage.RCodeSuccess && code != dnsmessage.RCodeNameError
	}
	return err == nil && asked.Type == q.kind && asked.Class == dnsmessage.ClassINET &&
		strings.EqualFold(asked.Name.String(), q.name.String()) && p.SkipAllQuestions() == nil
}

// records are those of an answer, by name in lower case.
type records struct {
	addrs  map[string][]netip.Addr
	cnames map[string]string
}

func readRecords(p *dnsmessage.Parser) (records, error) {
	r := records{addrs: map[string][]netip.Addr{}, cnames: map[string]string{}}
	for range maxRecords {
		header, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return r, nil
		}
		if err == nil {
			err = r.read(p, &header)
		}
		if err != nil {
			return records{}, err
		}
	}
	return r, nil
}

func (r *records) read(p *dnsmessage.Parser, header *dnsmessage.ResourceHeader) error {
	name := strings.ToLower(header.Name.String())
	if header.Class != dnsmessage.ClassINET {
		return p.SkipAnswer()
	}
	switch header.Type {
	case dnsmessage.TypeA:
		a, err := p.AResource()
		r.addrs[name] = append(r.addrs[name], netip.AddrFrom4(a.A))
		return err
	case dnsmessage.TypeAAAA:
		a, err := p.AAAAResource()
		r.addrs[name] = append(r.addrs[name], netip.AddrFrom16(a.AAAA))
		return err
	case dnsmessage.TypeCNAME:
		c, err := p.CNAMEResource()
		r.cnames[name] = c.CNAME.String()
		return err
	}
	return p.SkipAnswer()
}

// follow goes from the name that was asked for, along CNAMEs, to the addresses.
func (r *records) follow(from dnsmessage.Name) answer {
	name := from.String()
	for range maxCNAMEs + 1 {
		key := strings.ToLower(name)
		if addrs := r.addrs[key]; len(addrs) > 0 {
			return answer{host: host{strings.TrimSuffix(name, "."), addrs[:min(len(addrs), MaxAddresses)]}}
		}
		next, ok := r.cnames[key]
		if !ok {
			return answer{outcome: noData}
		}
		name = next
	}
	return answer{outcome: failed}
}
