// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestWhatIsRefused(t *testing.T) {
	invalid, notImplemented := errdefs.ErrInvalidArgument, errdefs.ErrNotImplemented
	rules := func(rules ...specs.LinuxSyscall) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: rules}
	}
	good := specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActAllow}
	args := func(args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"openat"}, Action: specs.ActAllow, Args: args}
	}
	equal := specs.LinuxSeccompArg{Index: 1, Value: 7, Op: specs.OpEqualTo}
	also := specs.LinuxSeccompArg{Index: 0, Value: 7, Op: specs.OpEqualTo}
	contrary := args(also, equal)
	contrary.Action = specs.ActLog
	long := strings.Repeat("X", 1<<20)

	for _, tc := range []struct {
		name    string
		profile *specs.LinuxSeccomp
		class   error
		says    string
	}{
		{"no default action", &specs.LinuxSeccomp{Syscalls: []specs.LinuxSyscall{good}}, invalid, `default action: action "" is unknown`},
		{"default action", &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_DANCE"}, invalid, `default action: action "SCMP_ACT_DANCE" is unknown`},
		{"long name", &specs.LinuxSeccomp{DefaultAction: specs.LinuxSeccompAction(long)}, invalid, `"` + long[:64] + `" is unknown`},
		{"default errno", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(4096))}, invalid, "errno 4096: the largest is 4095"},
		{"errno 0", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(0))}, notImplemented, "errno 0"},
		{"default notify", &specs.LinuxSeccomp{DefaultAction: specs.ActNotify}, notImplemented, "no seccomp agent"},
		{"listener", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, ListenerPath: "/run/agent.sock"}, notImplemented, `listenerPath "/run/agent.sock"`},
		{"listener's metadata", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, ListenerMetadata: "x"}, notImplemented, "listenerPath"},
		{"architecture", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{"SCMP_ARCH_PDP11"}}, invalid, `architecture "SCMP_ARCH_PDP11" is unknown`},
		{"flag", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Flags: []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_X"}}, invalid, `flag "SECCOMP_FILTER_FLAG_X" is unknown`},
		{"flag of agents", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}}, notImplemented, "no seccomp agent"},
		{"action", rules(good, specs.LinuxSyscall{Names: []string{"read"}, Action: "allow"}), invalid, `rule 1: action "allow" is unknown`},
		{"notify", rules(good, specs.LinuxSyscall{Names: []string{"no_such_call"}, Action: specs.ActNotify}), notImplemented, "rule 1: action SCMP_ACT_NOTIFY"},
		{"errno", rules(specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActErrno, ErrnoRet: new(uint(1 << 16))}), invalid, "rule 0: errno 65536"},
		{"no name", rules(specs.LinuxSyscall{Names: []string{"read", ""}, Action: specs.ActAllow}), invalid, "rule 0: a call without a name"},
		{"argument", rules(args(equal, specs.LinuxSeccompArg{Index: 6, Op: specs.OpEqualTo})), invalid, "rule 0: condition 1: argument 6: calls have 6"},
		{"operator", rules(args(specs.LinuxSeccompArg{Op: "=="})), invalid, `rule 0: condition 0: operator "==" is unknown`},
		{"contradiction", rules(good, args(equal, also), contrary), invalid, "rule 2: call openat: another action than in rule 1, under the same conditions"},
		{"too long for a program", rules(distinct(2, 1000)...), invalid, "instructions, the kernel takes 4096"},
		{"10,000 rules with 100 conditions", rules(distinct(10000, 100)...), invalid, "rule 163: it and those before it have more than 16384 conditions"},
		{"a rule with 100,000 conditions", rules(distinct(1, 100000)...), invalid, "rule 0: it has more than 16384 conditions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program, err := Compile(tc.profile)
			if !errors.Is(err, tc.class) || program != nil {
				t.Fatalf("error %v, want %v", err, tc.class)
			}
			if !strings.Contains(err.Error(), tc.says) || len(err.Error()) > 300 {
				t.Errorf("error %q, want %q in it", err, tc.says)
			}
		})
	}
}

// distinct returns rules with conditions that no range or mask joins.
func distinct(rules, conditions int) []specs.LinuxSyscall {
	all := make([]specs.LinuxSyscall, rules)
	for i := range all {
		all[i] = specs.LinuxSyscall{Names: []string{"openat"}, Action: specs.ActAllow}
		for k := range conditions {
			all[i].Args = append(all[i].Args, specs.LinuxSeccompArg{
				Index: 1, Value: uint64(2*(i*conditions+k)) * 0x100000001, Op: specs.OpEqualTo,
			})
		}
	}
	return all
}

func TestWhatIsNot(t *testing.T) {
	many := make([]string, 10000)
	for i := range many {
		many[i] = fmt.Sprint("nonsense\x00\xff", i)
	}
	repeated := make([]specs.LinuxSyscall, 10000)
	for i := range repeated {
		repeated[i] = specs.LinuxSyscall{
			Names: []string{"socket", "socket"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Value: 2, Op: specs.OpEqualTo}},
		}
	}
	for name, s := range map[string]*specs.LinuxSeccomp{
		"flags": {DefaultAction: specs.ActErrno, Flags: []specs.LinuxSeccompFlag{
			specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, "SECCOMP_FILTER_FLAG_TSYNC",
		}},
		"nonsense names":     {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: many, Action: specs.ActAllow}}},
		"repeated rules":     {DefaultAction: specs.ActErrno, Syscalls: repeated},
		"a long program":     {DefaultAction: specs.ActErrno, Syscalls: distinct(8, 100)},
		"libseccomp's worst": {DefaultAction: specs.ActErrno, Syscalls: worstForLibseccomp()},
	} {
		t.Run(name, func(t *testing.T) { mustCompile(t, s) })
	}
}

// worstForLibseccomp is 200 rules with three conditions each. libseccomp 2.5
// takes 5 s for the first 36 of them.
func worstForLibseccomp() []specs.LinuxSyscall {
	r := rand.New(rand.NewPCG(1, 2))
	rules := make([]specs.LinuxSyscall, 200)
	for i := range rules {
		rules[i] = specs.LinuxSyscall{Names: []string{"connect"}, Action: specs.ActAllow}
		for _, index := range r.Perm(6)[:3] {
			rules[i].Args = append(rules[i].Args, specs.LinuxSeccompArg{
				Index: uint(index), Value: r.Uint64(), ValueTwo: r.Uint64(), Op: pick(r, someOperators),
			})
		}
	}
	return rules
}
