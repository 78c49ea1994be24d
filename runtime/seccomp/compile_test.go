// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// plainly is what a profile says of a call, read rule by rule.
func plainly(t testing.TB, s *specs.LinuxSeccomp, a attempt) verdict {
	t.Helper()
	read := func(a specs.LinuxSeccompAction, errno *uint) action {
		act, err := newAction(a, errno)
		if err != nil {
			t.Fatal(err)
		}
		return act
	}
	numbers, err := callNumbers()
	if err != nil {
		t.Fatal(err)
	}
	otherwise := read(s.DefaultAction, s.DefaultErrnoRet)
	last := 0
	var always, holding []action
	for _, rule := range s.Syscalls {
		for _, name := range rule.Names {
			number, ok := numbers[name]
			last = max(last, number)
			act := read(rule.Action, rule.ErrnoRet)
			if !ok || uint32(number) != a.number || act == otherwise {
				continue
			}
			if len(rule.Args) == 0 {
				always = append(always, act)
			} else if holds(rule.Args, a) {
				holding = append(holding, act)
			}
		}
	}
	switch {
	case engineNeeds(a):
		return allow
	case len(always) > 0:
		return onGuest(verdict(always[0]))
	case len(holding) > 0:
		return slices.MinFunc(mapped(holding), func(a, b verdict) int { return int(a>>16) - int(b>>16) })
	case last > 0 && a.number > uint32(last) && !otherwise.permissive():
		return errno(unix.ENOSYS)
	default:
		return onGuest(verdict(otherwise))
	}
}

func mapped(actions []action) (verdicts []verdict) {
	for _, a := range actions {
		verdicts = append(verdicts, onGuest(verdict(a)))
	}
	return verdicts
}

func holds(args []specs.LinuxSeccompArg, a attempt) bool {
	used := make(map[uint]bool)
	n := 0
	for _, c := range args {
		used[c.Index] = true
		got := a.args[c.Index]
		if map[specs.LinuxSeccompOperator]bool{
			specs.OpNotEqual: got != c.Value, specs.OpEqualTo: got == c.Value,
			specs.OpLessThan: got < c.Value, specs.OpLessEqual: got <= c.Value,
			specs.OpGreaterThan: got > c.Value, specs.OpGreaterEqual: got >= c.Value,
			specs.OpMaskedEqual: got&c.Value == c.ValueTwo&c.Value,
		}[c.Op] {
			n++
		}
	}
	return n == len(args) || n > 0 && len(used) < len(args)
}

// anyProfile has rules of all kinds, which overlap and contradict each other.
func anyProfile(r *rand.Rand) *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{DefaultAction: pick(r, someActions), DefaultErrnoRet: new(uint(1 + r.IntN(40)))}
	for range r.IntN(30) {
		rule := specs.LinuxSyscall{Names: []string{pick(r, someNames), pick(r, someNames)}, Action: pick(r, someActions), ErrnoRet: new(uint(1 + r.IntN(40)))}
		for range 1 + r.IntN(5) {
			if r.IntN(40) != 0 {
				rule.Args = append(rule.Args, specs.LinuxSeccompArg{
					Index: uint(r.IntN(6)), Value: pick(r, someValues), ValueTwo: pick(r, someValues), Op: pick(r, someOperators),
				})
			}
		}
		s.Syscalls = append(s.Syscalls, rule)
	}
	return s
}

func TestProgramsDecideAsTheRulesRead(t *testing.T) {
	compiled := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		profile := anyProfile(r)
		program, err := Compile(profile)
		if errors.Is(err, errdefs.ErrInvalidArgument) && strings.Contains(err.Error(), "another action") {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		compiled++
		says := simulate(t, program)
		for range 200 {
			a := randomAttempt(t, r)
			if got, want := says(a), plainly(t, profile, a); got != want {
				content, _ := json.Marshal(profile)
				t.Fatalf("seed %d: %+v: %v, want %v; profile %s", seed, a, got, want, content)
			}
		}
	}
	if compiled < 200 {
		t.Errorf("only %d profiles could be compiled", compiled)
	}
}

func TestStrictestOfOverlappingRules(t *testing.T) {
	rule := func(a specs.LinuxSeccompAction, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"ioctl"}, Action: a, Args: args}
	}
	under := func(v uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: 1, Value: v, Op: specs.OpLessThan}
	}
	conditional := []specs.LinuxSyscall{
		rule(specs.ActLog, under(40)), rule(specs.ActTrap, under(10)), rule(specs.ActErrno, under(20)),
	}
	turned := slices.Clone(conditional)
	slices.Reverse(turned)
	for _, tc := range []struct {
		name  string
		rules []specs.LinuxSyscall
		want  map[uint64]verdict
	}{
		{"as they are", conditional, map[uint64]verdict{5: trap, 15: errno(unix.EPERM), 30: log, 50: allow}},
		{"turned round", turned, map[uint64]verdict{5: trap, 15: errno(unix.EPERM), 30: log, 50: allow}},
		{"one without conditions", append(slices.Clone(conditional), rule(specs.ActLog), rule(specs.ActTrap)), map[uint64]verdict{5: log, 50: log}},
		{"one that says what the default says", append(slices.Clone(conditional), rule(specs.ActAllow)), map[uint64]verdict{5: trap, 50: allow}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			says := simulate(t, mustCompile(t, &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: tc.rules}))
			for v, want := range tc.want {
				if got := says(attempt{number(t, "ioctl"), [6]uint64{0, v}}); got != want {
					t.Errorf("%d: %v, want %v", v, got, want)
				}
			}
		})
	}
}

func TestNothingIsDenied(t *testing.T) {
	for name, s := range map[string]*specs.LinuxSeccomp{
		"no profile":    nil,
		"empty":         {},
		"allow":         {DefaultAction: specs.ActAllow},
		"allow by name": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow}}},
		"only calls that the engine needs": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"futex", "exit"}, Action: specs.ActKill},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if program := mustCompile(t, s); len(program) != 0 {
				t.Errorf("a program of %d bytes", len(program))
			}
		})
	}
}

// Programs for 32 bits, and x32, could pass by a filter for the native calls.
func TestForeignCallsAreDenied(t *testing.T) {
	says := simulateOn(t, mustCompile(t, &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM},
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActErrno}},
	}))
	for _, machine := range []*arch.Info{arch.I386, arch.X86_64, arch.ARM, arch.AARCH64} {
		native, err := arch.GetInfo("")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []uint32{1, uint32(arch.X32.SeccompMask), ^uint32(0)} {
			want := errno(unix.EPERM)
			if machine == native && (n == 1 || machine == arch.AARCH64) {
				want = allow
			}
			if got := says(uint32(machine.ID), attempt{number: n}); got != want {
				t.Errorf("%s, call %#x: %v, want %v", machine.Name, n, got, want)
			}
		}
	}
}
