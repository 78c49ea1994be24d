// SPDX-License-Identifier: Apache-2.0

// Command daemon is the daemon that ships, and a service that faults.
package main

import (
	"github.com/containerd-wasm/containerd-wasm/cmd/containerd-wasm/command"
	_ "github.com/containerd-wasm/containerd-wasm/test/soak/fault"
)

func main() { command.Main() }
