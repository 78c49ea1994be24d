// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// attempt is a system call that a thread makes.
type attempt struct {
	number uint32
	args   [6]uint64
}

// verdict is SECCOMP_RET_*.
type verdict uint32

const (
	allow = verdict(unix.SECCOMP_RET_ALLOW)
	trap  = verdict(unix.SECCOMP_RET_TRAP)
	log   = verdict(unix.SECCOMP_RET_LOG)
)

func errno(e unix.Errno) verdict { return unix.SECCOMP_RET_ERRNO | verdict(e) }

func (v verdict) String() string {
	switch v {
	case allow:
		return "allow"
	case trap:
		return "trap"
	case log:
		return "log"
	}
	if v&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_ERRNO {
		return unix.ErrnoName(unix.Errno(v & unix.SECCOMP_RET_DATA))
	}
	return fmt.Sprintf("%#x", uint32(v))
}

// simulate returns what a program says of calls. The kernel is not asked.
func simulate(t testing.TB, program []byte) func(attempt) verdict {
	t.Helper()
	native, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	on := simulateOn(t, program)
	return func(a attempt) verdict { return on(uint32(native.ID), a) }
}

func simulateOn(t testing.TB, program []byte) func(machine uint32, a attempt) verdict {
	t.Helper()
	if len(program) == 0 {
		return func(uint32, attempt) verdict { return allow }
	}
	raw := make([]bpf.RawInstruction, len(program)/8)
	if n, err := binary.Decode(program, binary.NativeEndian, raw); err != nil || n != len(program) {
		t.Fatalf("not a program: %d bytes, %v", len(program), err)
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("not a program that package bpf knows")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	return func(machine uint32, a attempt) verdict {
		v, err := vm.Run(a.data(machine))
		if err != nil {
			t.Fatal(err)
		}
		return verdict(v)
	}
}

// data is struct seccomp_data, for a machine that loads words big-endian, as
// package bpf does.
func (a attempt) data(machine uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, a.number)
	b = binary.BigEndian.AppendUint32(b, machine)
	b = binary.BigEndian.AppendUint64(b, 0) // instruction pointer
	for _, arg := range a.args {
		b = binary.BigEndian.AppendUint32(b, uint32(arg))
		b = binary.BigEndian.AppendUint32(b, uint32(arg>>32))
	}
	return b
}

// number of a call by its name.
func number(t testing.TB, name string) uint32 {
	t.Helper()
	numbers, err := callNumbers()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := numbers[name]
	if !ok {
		t.Fatalf("no call %q", name)
	}
	return uint32(n)
}

func mustCompile(t testing.TB, s *specs.LinuxSeccomp) Program {
	t.Helper()
	program, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return program
}
