// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct {
		desc   string
		result jail.Result
		signal uint32
		want   uint32
		oom    bool
	}{
		{desc: "returned", result: jail.Result{Ending: jail.Exited}, want: 0},
		{desc: "proc_exit", result: jail.Result{Ending: jail.Exited, Code: 42}, want: 42},
		{desc: "proc_exit with more than a byte", result: jail.Result{Ending: jail.Exited, Code: 0xffffffff}, want: 255},
		{desc: "trap", result: jail.Result{Ending: jail.Trapped}, want: 134},
		{desc: "stack overflow", result: jail.Result{Ending: jail.Overflowed}, want: 134},
		{desc: "SIGKILL", result: jail.Result{Ending: jail.Killed}, signal: uint32(unix.SIGKILL), want: 137},
		{desc: "SIGTERM", result: jail.Result{Ending: jail.Killed}, signal: uint32(unix.SIGTERM), want: 143},
		{desc: "ended by itself while it was killed", result: jail.Result{Ending: jail.Exited, Code: 3}, signal: 9, want: 3},
		{desc: "could not start", result: jail.Result{Ending: jail.NotStarted}, want: 128},
		{desc: "call that its profile ends", result: jail.Result{Ending: jail.BadCall}, want: 159},
		{desc: "failed for its limit", result: jail.Result{Ending: jail.Exited, Code: 2, Refused: jail.RefusedByLimit}, want: 137, oom: true},
		{desc: "trapped for its limit", result: jail.Result{Ending: jail.Trapped, Refused: jail.RefusedByLimit}, want: 137, oom: true},
		{desc: "failed for the daemon's limit", result: jail.Result{Ending: jail.Exited, Code: 2, Refused: jail.RefusedByBudget}, want: 137, oom: true},
		{desc: "succeeded within its limit", result: jail.Result{Ending: jail.Exited, Refused: jail.RefusedByLimit}, want: 0},
		{desc: "failed far from its limit", result: jail.Result{Ending: jail.Exited, Code: 2}, want: 2},
		{desc: "killed at its limit", result: jail.Result{Ending: jail.Killed, Refused: jail.RefusedByLimit}, signal: 15, want: 143},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			got, oom := exitStatus(&tc.result, tc.signal)
			if got != tc.want || oom != tc.oom {
				t.Fatalf("got %d, oom %t, want %d, oom %t", got, oom, tc.want, tc.oom)
			}
		})
	}
}
