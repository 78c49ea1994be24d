// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"testing"
	"time"
)

func BenchmarkLoad(b *testing.B) {
	for name, path := range map[string]string{"C": cHello(b), "Go": goHello(b)} {
		time.Sleep(settle + 10*time.Millisecond)
		f := open(b, path)
		b.Run(name+"/cold", func(b *testing.B) {
			for b.Loop() {
				benchmarkFresh(b, f, testConfig(b))
			}
		})
		b.Run(name+"/disk", func(b *testing.B) {
			cfg := testConfig(b)
			benchmarkFresh(b, f, cfg)
			for b.Loop() {
				benchmarkFresh(b, f, cfg)
			}
		})
		e, _ := newEngine(b, testConfig(b))
		m, err := e.Load(b.Context(), f, Use{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/unloaded", func(b *testing.B) {
			m.Release()
			for b.Loop() {
				again, err := e.Load(b.Context(), f, Use{})
				if err != nil {
					b.Fatal(err)
				}
				again.Release()
			}
		})
		if m, err = e.Load(b.Context(), f, Use{}); err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/shared", func(b *testing.B) {
			for b.Loop() {
				again, err := e.Load(b.Context(), f, Use{})
				if err != nil {
					b.Fatal(err)
				}
				again.Release()
			}
		})
		b.Run(name+"/shared, new ctime", func(b *testing.B) {
			for b.Loop() {
				if err := os.Chmod(path, 0o444); err != nil {
					b.Fatal(err)
				}
				again, err := e.Load(b.Context(), f, Use{})
				if err != nil {
					b.Fatal(err)
				}
				again.Release()
			}
		})
		m.Release()
	}
}

// benchmarkFresh loads f with an engine that has nothing in memory.
func benchmarkFresh(b *testing.B, f *os.File, cfg Config) {
	e, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	m, err := e.Load(b.Context(), f, Use{})
	if err != nil {
		b.Fatal(err)
	}
	m.Release()
	e.Close()
}
