// SPDX-License-Identifier: Apache-2.0

// Package command is what every build of the daemon does: the one that ships, and
// those of tests, which add plugins of their own.
package command

import (
	"context"
	"fmt"
	"os"

	// Upstream's plugins register themselves.
	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
	"github.com/containerd/containerd/v2/cmd/containerd/command"

	// Ours as well.
	_ "github.com/containerd-wasm/containerd-wasm/plugins"
	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	overrides "github.com/containerd-wasm/containerd-wasm/vendor-overrides"
)

// Main runs the daemon with the plugins that are registered, ours and upstream's
// among them, or a compiler child of it. It exits the process if that fails.
func Main() {
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
