// SPDX-License-Identifier: Apache-2.0

// Command containerd-wasm is upstream's containerd with WebAssembly guests
// inside the daemon. It has the same flags and the same configuration file.
package main

import (
	"context"
	"fmt"
	"os"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
	"github.com/containerd/containerd/v2/cmd/containerd/command"

	_ "github.com/containerd-wasm/containerd-wasm/plugins"
	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	overrides "github.com/containerd-wasm/containerd-wasm/vendor-overrides"
)

func main() {
	if engine.IsCompileChild() {
		engine.CompileChildMain()
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "containerd-wasm:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := overrides.Apply(); err != nil {
		return err
	}
	return command.App().Run(context.Background(), os.Args)
}
