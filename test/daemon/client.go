// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/images"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// Dial makes connections of the caller's own, who closes them: to containerd's
// services, in namespace d.Name, and to CRI's.
func (d *Daemon) Dial() (*containerd.Client, *grpc.ClientConn, error) {
	client, err := containerd.New(d.Address, containerd.WithDefaultNamespace(d.Name))
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the daemon: %w", err)
	}
	conn, err := grpc.NewClient("unix://"+d.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to CRI: %w", errors.Join(err, client.Close()))
	}
	return client, conn, nil
}

// connect makes the clients, and waits until CRI, which starts last, answers.
func (d *Daemon) connect(ctx context.Context) error {
	client, conn, err := d.Dial()
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.client, d.cri = client, conn
	d.mu.Unlock()
	if d.options.noCRI {
		return nil
	}
	for {
		_, err := criapi.NewRuntimeServiceClient(conn).Status(ctx, &criapi.StatusRequest{})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("CRI does not answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (d *Daemon) disconnect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client != nil {
		_ = d.client.Close()
		_ = d.cri.Close()
	}
	d.client, d.cri = nil, nil
}

// Client is a containerd client, whose namespace is d.Name. A restart of the
// daemon makes a new one.
func (d *Daemon) Client() *containerd.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.client
}

// CRI is the runtime service of the Kubernetes API.
func (d *Daemon) CRI() criapi.RuntimeServiceClient {
	d.mu.Lock()
	defer d.mu.Unlock()
	return criapi.NewRuntimeServiceClient(d.cri)
}

// CRIImages is the image service of the Kubernetes API.
func (d *Daemon) CRIImages() criapi.ImageServiceClient {
	d.mu.Lock()
	defer d.mu.Unlock()
	return criapi.NewImageServiceClient(d.cri)
}

// Pids are the threads of a container of CRI: its own, and those of its execs.
func (d *Daemon) Pids(ctx context.Context, id string) ([]uint32, error) {
	r, err := d.Client().TaskService().ListPids(namespaces.WithNamespace(ctx, CRINamespace), &tasks.ListPidsRequest{ContainerID: id})
	if err != nil {
		return nil, err
	}
	var pids []uint32
	for _, p := range r.GetProcesses() {
		pids = append(pids, p.GetPid())
	}
	return pids, nil
}

// Import builds images and imports them into d.Name and for CRI.
func (d *Daemon) Import(t testing.TB, specs ...images.Spec) {
	t.Helper()
	for _, spec := range specs {
		img, err := images.Image(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		d.ImportImage(t, spec.Ref, img)
	}
}

// ImportImage imports an image under the name ref into d.Name and for CRI, and
// unpacks it for the runtime that it is for.
func (d *Daemon) ImportImage(t testing.TB, ref string, img v1.Image) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := images.Archive(archive, ref, img); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{d.Name, CRINamespace} {
		if err := d.Load(namespaces.WithNamespace(t.Context(), namespace), archive, ref); err != nil {
			t.Fatalf("importing %s: %v", ref, err)
		}
	}
	d.waitForCRI(t, ref)
}

// Load imports an archive with an image named ref into the namespace of ctx, and
// unpacks it for the runtime that it is for.
func (d *Daemon) Load(ctx context.Context, archive, ref string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	imported, err := d.Client().Import(ctx, f, containerd.WithAllPlatforms(true))
	if err != nil {
		return err
	}
	snapshotter := Snapshotter
	if strings.Contains(ref, "/native-") || ref == images.PauseRef {
		snapshotter = "overlayfs"
	}
	for _, i := range imported {
		if err := containerd.NewImageWithPlatform(d.Client(), i, platforms.All).Unpack(ctx, snapshotter); err != nil {
			return err
		}
	}
	return nil
}

// waitForCRI waits until CRI has heard of the image, which it does by an event.
func (d *Daemon) waitForCRI(t testing.TB, ref string) {
	t.Helper()
	Eventually(t, "CRI to know image "+ref, func() error {
		r, err := d.CRIImages().ImageStatus(t.Context(), &criapi.ImageStatusRequest{Image: &criapi.ImageSpec{Image: ref}})
		if err == nil && r.GetImage() == nil {
			err = errors.New("it does not")
		}
		return err
	})
}

// Patience is how long tests wait for what should happen at once; only a machine
// in trouble needs as much.
var Patience = patience.For(30 * time.Second)

// Eventually calls f until it returns nil, and fails the test with its last error
// if it never does.
func Eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", Patience, what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
