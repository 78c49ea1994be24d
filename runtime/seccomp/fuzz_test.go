// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// FuzzCompile: a profile is refused with a class, or its program is one that the
// kernel takes and decides as the rules read.
func FuzzCompile(f *testing.F) {
	f.Fuzz(func(t *testing.T, content []byte, seed uint64) {
		var profile specs.LinuxSeccomp
		if json.Unmarshal(content, &profile) != nil {
			return
		}
		program, err := compile(&profile)
		if err != nil {
			if !errors.Is(err, errdefs.ErrInvalidArgument) && !errors.Is(err, errdefs.ErrNotImplemented) {
				t.Errorf("error without a class: %v", err)
			}
			return
		}
		if len(program)%8 != 0 || len(program)/8 > unix.BPF_MAXINSNS {
			t.Fatalf("a program of %d bytes", len(program))
		}
		if profile.DefaultAction == "" {
			return
		}
		says := simulate(t, program)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 50 {
			a := attemptAt(t, r, &profile)
			if got, want := says(a), plainly(t, &profile, a); got != want {
				t.Errorf("%+v: %v, want %v", a, got, want)
			}
		}
	})
}

// attemptAt is a call close to what a rule of a profile is about.
func attemptAt(t testing.TB, r *rand.Rand, s *specs.LinuxSeccomp) attempt {
	a := randomAttempt(t, r)
	if len(s.Syscalls) == 0 {
		return a
	}
	rule := pick(r, s.Syscalls)
	numbers, err := callNumbers()
	if err != nil {
		t.Fatal(err)
	}
	if len(rule.Names) > 0 {
		if n, ok := numbers[pick(r, rule.Names)]; ok {
			a.number = uint32(n)
		}
	}
	for _, arg := range rule.Args {
		if r.IntN(4) != 0 {
			a.args[arg.Index] = pick(r, []uint64{arg.Value, arg.ValueTwo}) + r.Uint64N(3) - 1
		}
	}
	return a
}
