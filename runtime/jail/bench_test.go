// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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

// BenchmarkLookup is a guest from New to Done that looks up one name, by where the
// answer comes from.
func BenchmarkLookup(b *testing.B) {
	spec(b, "hello") // for its privilege check
	n := newNetwork(b)
	n.server(b, map[string][4]byte{"web.ns.svc.cluster.local.": {10, 0, 0, 7}})
	files := map[string]string{"resolv.conf": loopbackServer, "hosts": "10.1.2.3 pod\n"}
	for _, node := range []string{"127.0.0.1", "pod", "web"} {
		b.Run(node, func(b *testing.B) {
			s := lookupSpec(b, n, files, node, "80")
			for b.Loop() {
				if got := runOnce(b, s); got.Ending != Exited || got.Code != 0 {
					b.Fatalf("ended with %+v", got)
				}
			}
		})
	}
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

func begin(b *testing.B, s *Spec) *Guest {
	g, err := New(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Start(); err != nil {
		b.Fatal(err)
	}
	return g
}

// report adds the median and the 99th percentile, in us, in place of the mean, and
// returns the median.
func report(b *testing.B, name string, times []time.Duration) float64 {
	slices.Sort(times)
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	median := us(times[len(times)/2])
	b.ReportMetric(median, name+"-p50-us")
	b.ReportMetric(us(times[len(times)*99/100]), name+"-p99-us")
	b.ReportMetric(0, "ns/op")
	return median
}

func runOnce(b *testing.B, s *Spec) Result {
	g := begin(b, s)
	<-g.Done()
	return g.Result()
}

// BenchmarkStart is how long Start takes for a module that brings 4 MiB of data: at
// once after New, when the guest has begun to instantiate it, and 5 ms later, as when a
// client does something in between.
func BenchmarkStart(b *testing.B) {
	for _, bc := range []struct {
		name  string
		after time.Duration
	}{{"at once", 0}, {"5 ms later", 5 * time.Millisecond}} {
		b.Run(bc.name, func(b *testing.B) {
			s := spec(b, "hello")
			s.Module = slowToInstantiate(b, 4)
			var times []time.Duration
			for b.Loop() {
				g := isolated(b, s)
				time.Sleep(bc.after)
				begin := time.Now()
				if err := g.Start(); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
				<-g.Done()
			}
			report(b, "start", times)
		})
	}
}
