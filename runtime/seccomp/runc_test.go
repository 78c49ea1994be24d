// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// reference compiles a profile as runc 1.5 does, for the machine's own calls:
// libcontainer/seccomp and its patchbpf. It returns what runc's program says of
// a call, or an error where runc refuses the profile.
func reference(t testing.TB, s *specs.LinuxSeccomp) (func(attempt) verdict, error) {
	t.Helper()
	otherwise := referenceAction(s.DefaultAction, s.DefaultErrnoRet)
	filter, err := libseccomp.NewFilter(otherwise)
	if err != nil {
		return nil, err
	}
	defer filter.Release()
	last := libseccomp.ScmpSyscall(0)
	for _, call := range s.Syscalls {
		for _, name := range call.Names {
			number, err := libseccomp.GetSyscallFromName(name)
			if err != nil {
				continue
			}
			last = max(last, number)
			action := referenceAction(call.Action, call.ErrnoRet)
			if action == otherwise {
				continue
			}
			if err := referenceRule(filter, number, action, call.Args); err != nil {
				return nil, err
			}
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := filter.ExportBPF(f); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	program, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	says := simulate(t, program)
	stub := last > 0 && !slices.Contains([]specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog, specs.ActTrace}, s.DefaultAction)
	return func(a attempt) verdict {
		if stub && a.number > uint32(last) {
			return errno(unix.ENOSYS)
		}
		return says(a)
	}, nil
}

func referenceRule(filter *libseccomp.ScmpFilter, number libseccomp.ScmpSyscall, action libseccomp.ScmpAction, args []specs.LinuxSeccompArg) error {
	if len(args) == 0 {
		return filter.AddRule(number, action)
	}
	var conditions []libseccomp.ScmpCondition
	used := make(map[uint]bool)
	for _, a := range args {
		c, err := libseccomp.MakeCondition(a.Index, referenceOperators[a.Op], a.Value, a.ValueTwo)
		if err != nil {
			return err
		}
		conditions = append(conditions, c)
		used[a.Index] = true
	}
	if len(used) == len(args) {
		return filter.AddRuleConditional(number, action, conditions)
	}
	var errs []error
	for _, c := range conditions {
		errs = append(errs, filter.AddRuleConditional(number, action, []libseccomp.ScmpCondition{c}))
	}
	return errors.Join(errs...)
}

var referenceOperators = map[specs.LinuxSeccompOperator]libseccomp.ScmpCompareOp{
	specs.OpNotEqual:     libseccomp.CompareNotEqual,
	specs.OpLessThan:     libseccomp.CompareLess,
	specs.OpLessEqual:    libseccomp.CompareLessOrEqual,
	specs.OpEqualTo:      libseccomp.CompareEqual,
	specs.OpGreaterEqual: libseccomp.CompareGreaterEqual,
	specs.OpGreaterThan:  libseccomp.CompareGreater,
	specs.OpMaskedEqual:  libseccomp.CompareMaskedEqual,
}

func referenceAction(a specs.LinuxSeccompAction, number *uint) libseccomp.ScmpAction {
	n := int16(unix.EPERM)
	if number != nil {
		n = int16(*number)
	}
	return map[specs.LinuxSeccompAction]libseccomp.ScmpAction{
		specs.ActKill:        libseccomp.ActKillThread,
		specs.ActKillThread:  libseccomp.ActKillThread,
		specs.ActKillProcess: libseccomp.ActKillProcess,
		specs.ActTrap:        libseccomp.ActTrap,
		specs.ActErrno:       libseccomp.ActErrno.SetReturnCode(n),
		specs.ActTrace:       libseccomp.ActTrace.SetReturnCode(n),
		specs.ActLog:         libseccomp.ActLog,
		specs.ActAllow:       libseccomp.ActAllow,
	}[a]
}

// onGuest is what runc's verdict becomes for a thread of the daemon.
func onGuest(v verdict) verdict { return verdict(action(v).onGuest()) }

var (
	someValues = []uint64{
		0, 1, 2, 3, 5, 0x7fffffff, 0xffffffff, 1 << 32, 1<<32 + 1, 5 << 32, 1 << 63,
		math.MaxUint64 - 1, math.MaxUint64,
	}
	someOperators = []specs.LinuxSeccompOperator{
		specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
		specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
	}
	someActions = []specs.LinuxSeccompAction{
		specs.ActKill, specs.ActKillProcess, specs.ActTrap, specs.ActErrno, specs.ActTrace,
		specs.ActLog, specs.ActAllow,
	}
	// Between them are numbers that no profile below names.
	someNames = []string{"read", "openat", "socket", "ioctl", "fcntl", "pread64", "personality", "no_such_call"}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// simpleProfile has, for each call, one rule, or several values of one argument.
// Of other combinations libseccomp 2.5 gets some wrong: for "a1 <= 5" and
// "a1 <= 0x100000001" its program does not take the action when a1 is 0xffffffff.
func simpleProfile(r *rand.Rand) *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{DefaultAction: pick(r, someActions), DefaultErrnoRet: new(uint(1 + r.IntN(40)))}
	for _, name := range someNames {
		rule := specs.LinuxSyscall{Names: []string{name}, Action: pick(r, someActions), ErrnoRet: new(uint(1 + r.IntN(40)))}
		switch r.IntN(3) {
		case 0:
			rule.Args = randomArgs(r)
			s.Syscalls = append(s.Syscalls, rule)
		case 1:
			for range 1 + r.IntN(5) {
				rule.Args = []specs.LinuxSeccompArg{{Index: 1, Value: pick(r, someValues), Op: specs.OpEqualTo}}
				s.Syscalls = append(s.Syscalls, rule)
			}
		}
		if r.IntN(8) == 0 {
			s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{name}, Action: pick(r, someActions)})
		}
	}
	r.Shuffle(len(s.Syscalls), func(i, j int) { s.Syscalls[i], s.Syscalls[j] = s.Syscalls[j], s.Syscalls[i] })
	return s
}

// randomArgs has conditions on up to three arguments, each on another one.
func randomArgs(r *rand.Rand) []specs.LinuxSeccompArg {
	var args []specs.LinuxSeccompArg
	for _, index := range r.Perm(3)[:1+r.IntN(3)] {
		a := specs.LinuxSeccompArg{Index: uint(index), Value: pick(r, someValues), ValueTwo: pick(r, someValues), Op: pick(r, someOperators)}
		if a.Op == specs.OpMaskedEqual {
			a.Value |= 4 // without a mask it is no condition
		}
		args = append(args, a)
	}
	return args
}

func randomAttempt(t testing.TB, r *rand.Rand) attempt {
	a := attempt{number: r.Uint32N(500)}
	if name := pick(r, someNames[:len(someNames)-1]); r.IntN(8) != 0 {
		a.number = number(t, name)
	}
	for i := range a.args {
		a.args[i] = pick(r, someValues) + r.Uint64N(3) - 1
	}
	return a
}

func TestProfilesMeanWhatTheyMeanToRunc(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		profile := simpleProfile(r)
		want, err := reference(t, profile)
		if err != nil {
			t.Fatalf("seed %d: runc: %v", seed, err)
		}
		got := simulate(t, mustCompile(t, profile))
		for range 200 {
			a := randomAttempt(t, r)
			if got, want := got(a), onGuest(want(a)); got != want && !engineNeeds(a) {
				content, _ := json.Marshal(profile)
				t.Fatalf("seed %d: %+v: %v, with runc %v; profile %s", seed, a, got, want, content)
			}
		}
	}
}

// engineNeeds says whether a call is allowed whatever a profile says.
func engineNeeds(a attempt) bool {
	return slices.Contains(alwaysAllowed, a.number) || a.number == unix.SYS_PRCTL && uint32(a.args[0]) == unix.PR_SET_SECCOMP
}

func TestContainerdsDefaultProfileMeansWhatItMeansToRunc(t *testing.T) {
	for _, caps := range [][]string{nil, {"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_TIME", "CAP_SYSLOG", "CAP_BPF"}} {
		profile := defaultProfile(caps...)
		want, err := reference(t, profile)
		if err != nil {
			t.Fatal(err)
		}
		got := simulate(t, mustCompile(t, profile))
		for n := range uint32(600) {
			for _, v := range someValues {
				a := attempt{n, [6]uint64{v, v + 1, v, 1, 2, 3}}
				if got, want := got(a), onGuest(want(a)); got != want && !engineNeeds(a) && !tooNewForLibrary(n) {
					t.Errorf("%+v: %v, with runc %v", a, got, want)
				}
			}
		}
	}
}

// tooNewForLibrary: what the installed libseccomp does not know, runc skips.
func tooNewForLibrary(number uint32) bool {
	_, err := libseccomp.ScmpSyscall(number).GetName()
	return err != nil
}

func defaultProfile(caps ...string) *specs.LinuxSeccomp {
	return seccomp.DefaultProfile(&specs.Spec{
		Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}},
		Linux:   &specs.Linux{},
	})
}
