// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/soak/fault"
)

// traps are guests that end by a fault of the hardware or a check of the engine, each
// in its own way: SIGSEGV in linear memory and at the end of the stack, a division by
// zero, unreachable.
var traps = []string{source("bounds"), images.Wasm("recurse").Ref, source("divide"), images.Wasm("trap").Ref}

func importTraps(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	d.Import(t, images.Wasm("trap"), images.Wasm("recurse"))
	for _, name := range []string{"bounds", "divide"} {
		importSource(t, d, name, "../../runtime/jail/testdata/"+name+".wat")
	}
}

const trapped = 134 // the exit code

// A fault of Go's stays a panic that a handler recovers from, whatever guests do to
// the same signals of the same process.
func TestFaultsOfGoBesideTraps(t *testing.T) {
	const workers, rounds = 4, 12
	d := start(t)
	client, conn, err := d.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer conn.Close()
	if err := faultOnce(t.Context(), conn); err != nil {
		t.Fatalf("before the first guest: %v", err)
	}
	importTraps(t, d)
	var guests, faults sync.WaitGroup
	for range workers {
		guests.Go(func() {
			for i := range rounds {
				job := daemon.Job{Image: traps[i%len(traps)]}
				if err := with(t.Context(), d, job, trap); err != nil {
					t.Errorf("a guest that traps, %s: %v", job.Image, err)
				}
			}
		})
	}
	over := make(chan struct{})
	counts := make([]int, workers)
	for i := range counts {
		faults.Go(func() { counts[i] = faultUntil(t, conn, over) })
	}
	guests.Wait()
	close(over)
	faults.Wait()
	if err := faultOnce(t.Context(), conn); err != nil {
		t.Fatalf("after the last guest: %v", err)
	}
	t.Logf("%d guests trapped; faults of Go meanwhile, by client: %d", workers*rounds, counts)
	for _, n := range counts {
		if n < rounds {
			t.Errorf("there were only %d faults while guests trapped", n)
		}
	}
	checkRaces(t, d)
}

func trap(c *daemon.Container) error {
	if err := c.Task.Start(c.Ctx); err != nil {
		return err
	}
	return expectEnd(c, trapped)
}

func faultUntil(t *testing.T, conn grpc.ClientConnInterface, over <-chan struct{}) (n int) {
	for ; ; n++ {
		select {
		case <-over:
			return n
		default:
		}
		if err := faultOnce(t.Context(), conn); err != nil {
			t.Errorf("while guests trapped: %v", err)
			return n
		}
	}
}

// faultOnce has the daemon fault, and checks that it recovered.
func faultOnce(ctx context.Context, conn grpc.ClientConnInterface) error {
	const want = "runtime error: invalid memory address or nil pointer dereference"
	for _, method := range []string{fault.NilDereference, fault.BusError} {
		got, err := fault.Call(ctx, conn, method)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if got != want {
			return fmt.Errorf("%s: the panic was %q, want %q", method, got, want)
		}
	}
	return nil
}
