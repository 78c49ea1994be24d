// SPDX-License-Identifier: Apache-2.0

// Command containerd-wasm is upstream's containerd with WebAssembly guests
// inside the daemon. It has the same flags and the same configuration file.
package main

import "github.com/containerd-wasm/containerd-wasm/cmd/containerd-wasm/command"

func main() { command.Main() }
