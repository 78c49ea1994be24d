// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// ctrTimeout ends a command that hangs, long before go test ends everything: the
// largest module that tests run takes 20 s to compile.
var ctrTimeout = patience.For(1 * time.Minute)

// Output is what a command wrote and returned.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Ctr runs bin/ctr in namespace d.Name, without input.
func (d *Daemon) Ctr(t testing.TB, args ...string) Output {
	t.Helper()
	return d.CtrWithInput(t, "", args...)
}

// CtrWithInput runs bin/ctr in namespace d.Name with the given standard input.
func (d *Daemon) CtrWithInput(t testing.TB, input string, args ...string) Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ctrTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "ctr"),
		append([]string{"--address", d.Address, "--namespace", d.Name}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	return output(t, cmd, d.environ())
}

// RunArgs are the arguments of `ctr run` up to the image, for our runtime.
func (d *Daemon) RunArgs(flags ...string) []string {
	return append([]string{
		"run", "--rm", "--runtime", Runtime, "--snapshotter", Snapshotter, "--fifo-dir", d.FIFODir(),
	}, flags...)
}

// Exec runs the daemon's program itself.
func (d *Daemon) Exec(t testing.TB, args ...string) Output {
	t.Helper()
	return output(t, exec.CommandContext(t.Context(), d.options.program, args...), d.environ())
}

func output(t testing.TB, cmd *exec.Cmd, env []string) Output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &stdout, &stderr, env
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Errorf("%v: %v", cmd.Args, err)
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}
