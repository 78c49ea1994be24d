// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxConditions bounds the work that a profile can ask for. A condition takes
// one to four of the 4,096 instructions that a program may have.
const maxConditions = 16 << 10

// A profile is what a spec's profile says of the calls that this machine has.
type profile struct {
	otherwise  action
	calls      map[uint32]*call
	last       uint32 // the largest number of a call that it names
	conditions int    // of all calls
}

// A call is the rules for one call.
type call struct {
	always *action // of the first rule without conditions: it outweighs all others
	rules  []rule
	known  map[string]int // from a rule's conditions to its place in rules
}

// A rule has an action where all of its conditions hold.
type rule struct {
	index      int // in the spec's profile
	action     action
	conditions []condition
}

// callNumbers has the numbers of this machine's calls by name.
var callNumbers = sync.OnceValues(func() (map[string]int, error) {
	native, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errdefs.ErrNotImplemented)
	}
	numbers := maps.Clone(native.SyscallNames)
	numbers["newfstatat"] = unix.SYS_NEWFSTATAT // arm64's table has it under another name
	return numbers, nil
})

func newProfile(s *specs.LinuxSeccomp) (*profile, error) {
	if err := checkHead(s); err != nil {
		return nil, err
	}
	otherwise, err := newAction(s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return nil, fmt.Errorf("default action: %w", err)
	}
	p := &profile{otherwise: otherwise, calls: make(map[uint32]*call)}
	for i := range s.Syscalls {
		if err := p.add(i, &s.Syscalls[i]); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
	}
	return p, nil
}

// add takes over rule i of the spec's profile. Names of calls that this machine
// does not have, or that the table does not know yet, are skipped, and so are
// rules that say what the default says.
func (p *profile) add(i int, s *specs.LinuxSyscall) error {
	numbers, err := callNumbers()
	if err != nil {
		return err
	}
	act, err := newAction(s.Action, s.ErrnoRet)
	if err != nil {
		return err
	}
	alternatives, err := newConditions(s.Args)
	if err != nil {
		return err
	}
	seen := make(map[int]bool)
	for _, name := range s.Names {
		if name == "" {
			return fmt.Errorf("a call without a name: %w", errdefs.ErrInvalidArgument)
		}
		number, ok := numbers[name]
		if !ok || seen[number] {
			continue
		}
		seen[number] = true
		p.last = max(p.last, uint32(number))
		if act == p.otherwise {
			continue
		}
		if p.conditions += len(s.Args); p.conditions > maxConditions {
			return fmt.Errorf("it and those before it have more than %d conditions: %w", maxConditions, errdefs.ErrInvalidArgument)
		}
		for _, conditions := range alternatives {
			if err := p.call(uint32(number)).add(rule{i, act, conditions}); err != nil {
				return fmt.Errorf("call %s: %w", name, err)
			}
		}
	}
	return nil
}

// newConditions returns the conditions of a rule, of which one list has to hold.
// Where two are about the same argument, each of them is enough, as for runc.
func newConditions(args []specs.LinuxSeccompArg) ([][]condition, error) {
	const arguments = 6
	if len(args) > maxConditions {
		return nil, fmt.Errorf("it has more than %d conditions: %w", maxConditions, errdefs.ErrInvalidArgument)
	}
	var all []condition
	var each [][]condition
	used := make(map[uint]bool)
	for i, a := range args {
		if a.Index >= arguments {
			return nil, fmt.Errorf("condition %d: argument %d: calls have %d: %w", i, a.Index, arguments, errdefs.ErrInvalidArgument)
		}
		c, ok := newCondition(a)
		if !ok {
			return nil, fmt.Errorf("condition %d: operator %.64q is unknown: %w", i, a.Op, errdefs.ErrInvalidArgument)
		}
		used[a.Index] = true
		all, each = append(all, c), append(each, []condition{c})
	}
	if len(used) < len(args) {
		return each, nil
	}
	slices.SortFunc(all, func(a, b condition) int { return int(a.arg) - int(b.arg) })
	return [][]condition{all}, nil
}

func (p *profile) call(number uint32) *call {
	c, ok := p.calls[number]
	if !ok {
		c = &call{known: make(map[string]int)}
		p.calls[number] = c
	}
	return c
}

func (c *call) add(r rule) error {
	if len(r.conditions) == 0 && c.always == nil {
		c.always = &r.action
	}
	if c.always != nil {
		return nil
	}
	key := fmt.Sprint(r.conditions)
	at, ok := c.known[key]
	if !ok {
		c.known[key] = len(c.rules)
		c.rules = append(c.rules, r)
		return nil
	}
	if earlier := c.rules[at]; earlier.action != r.action {
		return fmt.Errorf("another action than in rule %d, under the same conditions: %w", earlier.index, errdefs.ErrInvalidArgument)
	}
	return nil
}
