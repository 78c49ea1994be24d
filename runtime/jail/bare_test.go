// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bare runs a module of testdata again and again on threads with no jail
// (testdata/bare.c).
type bare struct{ order, answer *os.File }

func newBare(b *testing.B, module string) *bare {
	b.Helper()
	program := filepath.Join(b.TempDir(), "bare")
	if out, err := exec.Command("cc", "-O2", "-o", program, "testdata/bare.c", "-lwasmedge").CombinedOutput(); err != nil {
		b.Fatalf("cc: %v: %s", err, out)
	}
	orderIn, order, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	answer, answerOut, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, compiled(modulesDir, module))
	cmd.ExtraFiles, cmd.Stderr = []*os.File{orderIn, answerOut}, os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	orderIn.Close()
	answerOut.Close()
	b.Cleanup(func() {
		order.Close()
		answer.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	return &bare{order, answer}
}

func (p *bare) run(b *testing.B) time.Duration {
	b.Helper()
	if _, err := p.order.Write([]byte{0}); err != nil {
		b.Fatal(err)
	}
	var took uint64
	if err := binary.Read(p.answer, binary.NativeEndian, &took); err != nil {
		b.Fatal(err)
	}
	return time.Duration(took)
}

// paired runs a guest and the same module on a bare thread, in turns.
func paired(b *testing.B, module string, s *Spec) {
	p := newBare(b, module)
	var plain, jailed []time.Duration
	for b.Loop() {
		plain = append(plain, p.run(b))
		begin := time.Now()
		if got := runOnce(b, s); got.Ending != Exited {
			b.Fatalf("ended with %+v", got)
		}
		jailed = append(jailed, time.Since(begin))
	}
	report(b, "bare", plain)
	report(b, "jail", jailed)
	b.ReportMetric(float64(jailed[len(jailed)/2])/float64(plain[len(plain)/2]), "ratio")
}

// BenchmarkSpeed is a guest that computes, beside the same on a bare thread: what
// makes a guest killable must cost it nothing.
func BenchmarkSpeed(b *testing.B) { paired(b, "compute.wat", spec(b, "compute")) }
