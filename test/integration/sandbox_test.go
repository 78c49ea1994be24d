// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// Clients of the Sandbox API make sandboxes as CRI does, but for options.
func TestSandboxOfAClient(t *testing.T) {
	d := shared(t)
	client, err := containerd.New(d.Address, containerd.WithDefaultNamespace(d.Name), containerd.WithDefaultSandboxer(daemon.Handler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := namespaces.WithNamespace(t.Context(), d.Name)
	s, err := client.NewSandbox(ctx, newID())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Shutdown(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	over, err := s.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a second start: %v", err)
	}
	started := time.Now()
	expectSandbox(ctx, t, client, s.ID(), "SANDBOX_READY")
	select {
	case exit := <-over:
		t.Errorf("it was over at once: %+v", exit)
	default:
	}
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case exit := <-over:
		if code, at, err := exit.Result(); err != nil || code != 0 || at.Before(started) {
			t.Errorf("it ended with code %d at %v (it was started at %v): %v", code, at, started, err)
		}
	case <-time.After(patience.For(10 * time.Second)):
		t.Error("it was stopped, and is not over")
	}
	expectSandbox(ctx, t, client, s.ID(), "SANDBOX_NOTREADY")
}

func expectSandbox(ctx context.Context, t *testing.T, client *containerd.Client, id, state string) {
	t.Helper()
	status, err := client.SandboxController(daemon.Handler).Status(ctx, id, false)
	if err != nil || status.State != state {
		t.Errorf("the sandbox is %q, want %q (%v)", status.State, state, err)
	}
}
