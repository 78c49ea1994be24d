// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

func compile(s *specs.LinuxSeccomp) (Program, error) {
	if s.DefaultAction == "" && len(s.Syscalls) == 0 {
		return nil, nil // for runc, no profile
	}
	p, err := newProfile(s)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	program, err := p.program()
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	return program, nil
}

func (p *profile) program() (Program, error) {
	g := make(nodes)
	root := p.native(g)
	if root == g.leaf(unix.SECCOMP_RET_ALLOW) {
		return nil, nil
	}
	machine, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	deny := g.leaf(denied)
	if runtime.GOARCH == "amd64" {
		root = g.test(callNumber, bpf.JumpGreaterOrEqual, uint32(arch.X32.SeccompMask), deny, root)
	}
	root = g.test(architecture, bpf.JumpEqual, uint32(machine.ID), root, deny)
	out := assemble(root)
	if len(out) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("its program has %d instructions, the kernel takes %d: %w", len(out), unix.BPF_MAXINSNS, errdefs.ErrInvalidArgument)
	}
	return encode(out)
}

// native decides about the machine's own calls.
func (p *profile) native(g nodes) *node {
	decided := make(map[uint32]*node)
	for number, c := range p.calls {
		decided[number] = c.decide(g, g.leaf(p.otherwise.onGuest()))
	}
	p.allowEngine(g, decided)
	starts := map[uint32]bool{0: true, p.last + 1: true}
	for number := range decided {
		starts[number], starts[number+1] = true, true
	}
	var spans []span
	for _, from := range slices.Sorted(maps.Keys(starts)) {
		then, ok := decided[from]
		if !ok {
			then = g.leaf(p.unnamed(from))
		}
		spans = add(spans, span{from, then})
	}
	return g.search(callNumber, spans)
}

// unnamed is what happens to a call that the profile does not name. One that is
// newer than all that it names does not exist, for a program that looks whether
// the kernel has it: so does runc.
func (p *profile) unnamed(number uint32) uint32 {
	if number > p.last && p.last > 0 && !p.otherwise.permissive() {
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	return p.otherwise.onGuest()
}

// decide tries the rules from the strictest to the most lenient.
func (c *call) decide(g nodes, otherwise *node) *node {
	if c.always != nil {
		return g.leaf(c.always.onGuest())
	}
	rules := slices.SortedStableFunc(slices.Values(c.rules), func(a, b rule) int {
		return cmp.Compare(a.action.onGuest()&unix.SECCOMP_RET_ACTION_FULL, b.action.onGuest()&unix.SECCOMP_RET_ACTION_FULL)
	})
	for len(rules) > 0 {
		first := len(rules) - 1
		for first > 0 && rules[first-1].action == rules[first].action {
			first--
		}
		otherwise = g.anyOf(rules[first:], otherwise)
		rules = rules[:first]
	}
	return otherwise
}

// anyOf goes to the action of rules, which all have the same, where one of them
// holds. Those with one range become one list of ranges for each argument.
func (g nodes) anyOf(rules []rule, otherwise *node) *node {
	act := g.leaf(rules[0].action.onGuest())
	ranges := make(map[uint][]interval)
	for _, r := range rules {
		if c := r.conditions[0]; len(r.conditions) == 1 && c.mask == 0 {
			ranges[c.arg] = append(ranges[c.arg], c.ranges...)
			continue
		}
		holds := act
		for _, c := range slices.Backward(r.conditions) {
			holds = c.on(g, holds, otherwise)
		}
		otherwise = holds
	}
	for _, arg := range slices.Sorted(maps.Keys(ranges)) {
		otherwise = g.within(arg, ranges[arg], act, otherwise)
	}
	return otherwise
}
