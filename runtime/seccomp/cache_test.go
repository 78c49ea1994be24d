// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"bytes"
	"sync"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestEqualProfilesShareAProgram(t *testing.T) {
	first := mustCompile(t, defaultProfile())
	if second := mustCompile(t, defaultProfile()); &first[0] != &second[0] {
		t.Error("compiled twice")
	}
	other := mustCompile(t, defaultProfile("CAP_SYS_ADMIN"))
	if bytes.Equal(first, other) {
		t.Error("another profile has the same program")
	}
}

func TestProgramsAreTheSameEachTime(t *testing.T) {
	want, err := compile(defaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		got, err := compile(defaultProfile())
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("another program, error %v", err)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	c := cache{entries: make(map[key]*entry)}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range uint(3 * maxCached) {
				if _, err := c.get(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(1 + n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(c.entries) != maxCached || len(c.order) != maxCached {
		t.Errorf("%d programs, %d in order", len(c.entries), len(c.order))
	}
}

func BenchmarkCompile(b *testing.B) {
	profile := defaultProfile()
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			if _, err := Compile(profile); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			if _, err := compile(profile); err != nil {
				b.Fatal(err)
			}
		}
	})
}
