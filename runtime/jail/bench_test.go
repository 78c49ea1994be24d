// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkLife is a guest from New to Done, and what parts of its isolation
// add to the barest one.
func BenchmarkLife(b *testing.B) {
	for _, bc := range []struct {
		name string
		set  func(*Spec)
	}{
		{"bare", func(*Spec) {}},
		{"readonly root", func(s *Spec) { s.RootfsReadonly = true }},
		{"own network", func(s *Spec) { s.NewNetNS = true }},
		{"four file mounts", func(s *Spec) { s.Mounts = fileMounts(b, 4) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := spec(b, "hello")
			s.NewNetNS = false
			bc.set(s)
			for b.Loop() {
				if got := runOnce(b, s); got.Ending != Exited {
					b.Fatalf("ended with %+v", got)
				}
			}
		})
	}
}

// fileMounts are what a pod brings: single files of the host, read-only.
func fileMounts(b *testing.B, n int) []Mount {
	dir := b.TempDir()
	mounts := make([]Mount, n)
	for i := range mounts {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
			b.Fatal(err)
		}
		mounts[i] = Mount{Source: path, Target: fmt.Sprintf("/etc/%d", i), Attr: unix.MOUNT_ATTR_RDONLY}
	}
	return mounts
}

// BenchmarkParked is the thread that holds a pod's namespaces.
func BenchmarkParked(b *testing.B) {
	for _, bc := range []struct {
		name string
		spec Spec
	}{
		{"host namespaces", Spec{}},
		{"UTS", Spec{NewUTS: true}},
		{"IPC", Spec{NewIPC: true}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			spec(b, "hello") // for its privilege check
			for b.Loop() {
				g, err := New(b.Context(), &bc.spec)
				if err != nil {
					b.Fatal(err)
				}
				g.Kill()
				<-g.Done()
			}
		})
	}
}

// BenchmarkKill is the time from Kill to Done.
func BenchmarkKill(b *testing.B) {
	for _, module := range []string{"spin", "poll", "read", "write"} {
		b.Run(module, func(b *testing.B) {
			s := spec(b, module)
			s.NewNetNS = false
			blocked(b, s)
			for b.Loop() {
				b.StopTimer()
				g, err := New(b.Context(), s)
				if err != nil {
					b.Fatal(err)
				}
				if err := g.Start(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				g.Kill()
				<-g.Done()
			}
		})
	}
}

func runOnce(b *testing.B, s *Spec) Result {
	g, err := New(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Start(); err != nil {
		b.Fatal(err)
	}
	<-g.Done()
	return g.Result()
}
