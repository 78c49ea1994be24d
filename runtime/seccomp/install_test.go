// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// made is what came of a system call: its result, an errno (negative), or SIGSYS.
type made struct{ Result, Trapped int64 }

var bySignal = made{Trapped: 1}

func failed(e unix.Errno) made { return made{Result: -int64(e)} }

// attemptor builds the program that installs a filter and makes calls, where
// every user can run it.
func attemptor(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "attempt")
	if out, err := exec.Command("cc", "-D_GNU_SOURCE", "-O1", "-o", path, "testdata/attempt.c").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return path
}

// install gives a program to the kernel, on a thread of user uid, which then
// makes calls.
func install(t *testing.T, attemptor string, uid uint32, program Program, calls []attempt) []made {
	t.Helper()
	dir := filepath.Dir(attemptor)
	filter, results := filepath.Join(dir, "filter"), filepath.Join(dir, "results")
	if err := os.WriteFile(filter, program, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(results, make([]byte, 16*len(calls)), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(results, 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{filter, results}
	plain := strings.NewReplacer(" ", ",", "[", "", "]", "")
	for _, c := range calls {
		args = append(args, plain.Replace(fmt.Sprint(c.number, c.args)))
	}
	cmd := exec.Command(attemptor, args...)
	if uid != uint32(os.Getuid()) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]made, len(calls))
	if _, err := binary.Decode(content, binary.NativeEndian, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheKernelDoesWhatAProfileSays(t *testing.T) {
	program := attemptor(t)
	number := func(name string) uint32 { return number(t, name) }
	const family, kind = 1000, 2000 // no such socket: EINVAL, if the kernel looks
	socket := func(arg specs.LinuxSeccompArg) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow,
			Syscalls: []specs.LinuxSyscall{
				{Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENOMSG)), Args: []specs.LinuxSeccompArg{arg}},
			},
		}
	}
	kept, refused := failed(unix.EINVAL), failed(unix.ENOMSG)
	ask := func(family uint64) attempt { return attempt{number("socket"), [6]uint64{family, kind}} }
	only := func(a specs.LinuxSeccompAction, errno *uint, names ...string) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{
			DefaultAction: a, DefaultErrnoRet: errno,
			Syscalls: []specs.LinuxSyscall{{Names: append(names, "openat"), Action: specs.ActAllow}},
		}
	}
	open := attempt{number: number("openat")} // of no path: EFAULT, if the kernel looks
	read := attempt{number: number("read"), args: [6]uint64{1 << 20}}
	newest := attempt{number: 600}

	for _, tc := range []struct {
		name    string
		profile *specs.LinuxSeccomp
		calls   []attempt
		want    []made
	}{
		{"default errno", only(specs.ActErrno, nil), []attempt{open, read, newest}, []made{failed(unix.EFAULT), failed(unix.EPERM), failed(unix.ENOSYS)}},
		{"errno of its own", only(specs.ActErrno, new(uint(unix.ENOLCK))), []attempt{open, read}, []made{failed(unix.EFAULT), failed(unix.ENOLCK)}},
		{"errno that WASI does not have", only(specs.ActErrno, new(uint(unix.EUCLEAN))), []attempt{read}, []made{failed(unix.EPERM)}},
		{"trap", only(specs.ActTrap, nil), []attempt{open, read, open}, []made{failed(unix.EFAULT), bySignal, failed(unix.EFAULT)}},
		{"kill", only(specs.ActKill, nil), []attempt{read, open}, []made{bySignal, failed(unix.EFAULT)}},
		{"kill the thread", only(specs.ActKillThread, nil), []attempt{read, open}, []made{bySignal, failed(unix.EFAULT)}},
		{"kill the process", only(specs.ActKillProcess, nil), []attempt{read, open}, []made{bySignal, failed(unix.EFAULT)}},
		{"trace", only(specs.ActTrace, nil), []attempt{read, open}, []made{failed(unix.ENOSYS), failed(unix.EFAULT)}},
		{"log", only(specs.ActLog, nil), []attempt{read, open}, []made{failed(unix.EBADF), failed(unix.EFAULT)}},
		{
			"equal",
			socket(specs.LinuxSeccompArg{Value: family, Op: specs.OpEqualTo}),
			[]attempt{ask(family - 1), ask(family), ask(family + 1), ask(1<<32 | family)},
			[]made{kept, refused, kept, kept},
		},
		{
			"not equal",
			socket(specs.LinuxSeccompArg{Value: family, Op: specs.OpNotEqual}),
			[]attempt{ask(family - 1), ask(family), ask(1<<32 | family)},
			[]made{refused, kept, refused},
		},
		{
			"less",
			socket(specs.LinuxSeccompArg{Value: 1<<32 | family, Op: specs.OpLessThan}),
			[]attempt{ask(family + 1), ask(1<<32 | family - 1), ask(1<<32 | family), ask(2<<32 | 500)},
			[]made{refused, refused, kept, kept},
		},
		{
			"less or equal",
			socket(specs.LinuxSeccompArg{Value: family, Op: specs.OpLessEqual}),
			[]attempt{ask(family), ask(family + 1), ask(1<<32 | 500)},
			[]made{refused, kept, kept},
		},
		{
			"greater",
			socket(specs.LinuxSeccompArg{Value: family, Op: specs.OpGreaterThan}),
			[]attempt{ask(family), ask(family + 1), ask(1<<32 | 500)},
			[]made{kept, refused, refused},
		},
		{
			"greater or equal",
			socket(specs.LinuxSeccompArg{Value: 1<<32 | family, Op: specs.OpGreaterEqual}),
			[]attempt{ask(family + 1), ask(1<<32 | family - 1), ask(1<<32 | family), ask(2<<32 | 500)},
			[]made{kept, kept, refused, refused},
		},
		{
			"masked",
			socket(specs.LinuxSeccompArg{Value: 1<<32 | 0xff0, ValueTwo: 1<<32 | 0x3e0, Op: specs.OpMaskedEqual}),
			[]attempt{ask(1<<32 | 0x3e5), ask(0x3e5), ask(1<<32 | 0x3f5), ask(3<<32 | 0x3e1)},
			[]made{refused, kept, kept, refused},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := install(t, program, uint32(os.Getuid()), mustCompile(t, tc.profile), tc.calls)
			for i, want := range tc.want {
				if got[i].Trapped == 0 && got[i] != want || got[i].Trapped != want.Trapped {
					t.Errorf("call %d, %+v: %+v, want %+v", i, tc.calls[i], got[i], want)
				}
			}
		})
	}
}

// A guest's thread must be able to end under any profile, and to be killed.
func TestWhatTheEngineNeedsIsAlwaysAllowed(t *testing.T) {
	program := attemptor(t)
	numbers, err := callNumbers()
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys(numbers))
	for _, action := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKillProcess, specs.ActTrap} {
		for name, profile := range map[string]*specs.LinuxSeccomp{
			"by default": {DefaultAction: action, DefaultErrnoRet: new(uint(unix.ENOLINK))},
			"by name":    {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: names, Action: action, ErrnoRet: new(uint(unix.ENOLINK))}}},
		} {
			t.Run(fmt.Sprint(action, " ", name), func(t *testing.T) {
				filter := mustCompile(t, profile)
				says := simulate(t, filter)
				for _, n := range numbers {
					if a := (attempt{number: uint32(n)}); engineNeeds(a) != (says(a) == allow) {
						t.Errorf("call %d: %v", n, says(a))
					}
				}
				// The handler of SIGSYS ends in rt_sigreturn, the program in exit.
				var calls []attempt
				for _, n := range alwaysAllowed {
					if n != unix.SYS_RT_SIGRETURN && n != unix.SYS_EXIT {
						calls = append(calls, attempt{number: n})
					}
				}
				calls = append(calls, attempt{unix.SYS_PRCTL, [6]uint64{unix.PR_SET_SECCOMP, 77}}, attempt{number: unix.SYS_GETPPID})
				got := install(t, program, uint32(os.Getuid()), filter, calls)
				denied := len(calls) - 1
				for i, m := range got {
					if noticed := m.Trapped != 0 || m == failed(unix.ENOLINK); noticed != (i == denied) {
						t.Errorf("call %d: %+v", calls[i].number, m)
					}
				}
			})
		}
	}
}

func TestContainerdsDefaultProfile(t *testing.T) {
	testutil.RequiresRoot(t)
	program := attemptor(t)
	admin := []string{"CAP_SYS_ADMIN", "CAP_SYS_CHROOT"}
	calls := []attempt{
		{number(t, "openat"), [6]uint64{}},
		{number(t, "unshare"), [6]uint64{}},
		{number(t, "chroot"), [6]uint64{}},
		{number(t, "socket"), [6]uint64{unix.AF_INET, unix.SOCK_STREAM}},
		{number(t, "socket"), [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}},
		{number(t, "personality"), [6]uint64{0xffffffff}},
		{number(t, "personality"), [6]uint64{0x7777}},
		{number(t, "clone3"), [6]uint64{}},
		{number(t, "kexec_load"), [6]uint64{}},
		{600, [6]uint64{}},
	}
	perm, nosys, fault := failed(unix.EPERM), failed(unix.ENOSYS), failed(unix.EFAULT)
	some := made{} // the call succeeds, with whatever result
	for _, tc := range []struct {
		name string
		uid  uint32
		caps []string
		want []made
	}{
		{"root", 0, nil, []made{fault, perm, perm, some, perm, some, perm, nosys, perm, nosys}},
		{"root with its capabilities", 0, admin, []made{fault, some, fault, some, perm, some, perm, failed(unix.EINVAL), perm, nosys}},
		{"a user", 65534, nil, []made{fault, perm, perm, some, perm, some, perm, nosys, perm, nosys}},
		{"a user whose profile allows more", 65534, admin, []made{fault, some, fault, some, perm, some, perm, failed(unix.EINVAL), perm, nosys}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := install(t, program, tc.uid, mustCompile(t, defaultProfile(tc.caps...)), calls)
			for i, want := range tc.want {
				if got[i].Trapped != 0 || got[i].Result < 0 && got[i] != want || got[i].Result >= 0 && want != some {
					t.Errorf("%+v: %+v, want %+v", calls[i], got[i], want)
				}
			}
		})
	}
}
