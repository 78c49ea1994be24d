// SPDX-License-Identifier: Apache-2.0

// Command daemon is the daemon that ships, and a service that faults.
package main

import (
	"github.com/sasha-s/go-deadlock"

	"github.com/containerd-wasm/containerd-wasm/cmd/containerd-wasm/command"
	_ "github.com/containerd-wasm/containerd-wasm/test/soak/fault"
)

func main() {
	// With the race detector, go-cni's locks are those of go-deadlock. It does not
	// know the goroutines of this Go from each other (it finds 0 for all), and would
	// end the daemon when two of them hold a lock for reading.
	deadlock.Opts.Disable = true
	command.Main()
}
