// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/anypb"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestHostPID(t *testing.T) {
	c := New(Config{Root: t.TempDir()})
	for mode, want := range map[criapi.NamespaceMode]bool{
		criapi.NamespaceMode_NODE: true, criapi.NamespaceMode_POD: false, criapi.NamespaceMode_CONTAINER: false,
	} {
		id := mode.String()
		config := &criapi.PodSandboxConfig{Linux: &criapi.LinuxPodSandboxConfig{SecurityContext: &criapi.LinuxSandboxSecurityContext{
			NamespaceOptions: &criapi.NamespaceOption{Pid: mode},
		}}}
		if err := c.Create(t.Context(), sandbox.Sandbox{ID: id}, sandbox.WithOptions(config)); err != nil {
			t.Fatal(err)
		}
		if got := c.HostPID(id); got != want {
			t.Errorf("%s: %t, want %t", id, got, want)
		}
	}
	if err := c.Create(t.Context(), sandbox.Sandbox{ID: "empty"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"empty", "unknown", ""} {
		if c.HostPID(id) {
			t.Errorf("sandbox %q has the host's", id)
		}
	}
}

// A sandbox is over when it was stopped, also if it was never started, and not before.
func TestWaitForASandboxThatIsNotStarted(t *testing.T) {
	synctest.Test(t, waitForASandboxThatIsNotStarted)
}

func waitForASandboxThatIsNotStarted(t *testing.T) {
	c := New(Config{Root: t.TempDir()})
	// What gRPC makes of a request without options.
	none := func(o *sandbox.CreateOptions) error { o.Options = (*anypb.Any)(nil); return nil }
	if err := c.Create(t.Context(), sandbox.Sandbox{ID: "a"}, none); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := c.Wait(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting: %v", err)
	}
	if s, err := c.Status(t.Context(), "a", false); err != nil || !s.ExitedAt.IsZero() {
		t.Errorf("status %+v, %v", s, err)
	}
	before := time.Now()
	for range 2 {
		if err := c.Stop(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	}
	if s, err := c.Wait(t.Context(), "a"); err != nil || s.ExitedAt.Before(before) {
		t.Errorf("it ended at %v, %v", s.ExitedAt, err)
	}
	if _, err := c.Start(t.Context(), "a"); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("starting it then: %v", err)
	}
	if err := c.Shutdown(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// Where there can be no new sandboxes, those of earlier daemons are known and removed.
func TestNewWithout(t *testing.T) {
	db, ctx := newDB(t)
	root := t.TempDir()
	c := NewWithout(errors.New("broken"), Config{Root: root, Records: metadata.NewSandboxStore(db)})
	if err := c.Create(ctx, sandbox.Sandbox{ID: "new"}); !errdefs.IsUnavailable(err) {
		t.Errorf("a new one: %v", err)
	}
	record := addRecord(ctx, t, db, "old", nil)
	if s, err := c.Status(ctx, "old", false); err != nil || !s.CreatedAt.Equal(record.CreatedAt) {
		t.Errorf("status %+v, %v", s, err)
	}
	if _, err := c.Metrics(ctx, "old"); !errdefs.IsNotFound(err) {
		t.Errorf("metrics: %v", err)
	}
	if err := makeFiles(root, "old", &criapi.PodSandboxConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Shutdown(ctx, "old"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filesDir(root, "old")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the files are there: %v", err)
	}
	t.Chdir(t.TempDir()) // which is not where a pod's files are
	if err := makeFiles("", "old", &criapi.PodSandboxConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := New(Config{}).Shutdown(ctx, "old"); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("without a root: %v", err)
	}
	if _, err := os.Stat(filesDir("", "old")); err != nil {
		t.Error(err)
	}
}
