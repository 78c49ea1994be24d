// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/pkg/namespaces"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// Fifty pods of an image that was unpacked this moment wait for one compilation.
func TestPodsOfANewImageCompileOnce(t *testing.T) {
	const pods = 50
	d := daemon.Start(t)
	compilations := d.WatchCompilations(t)
	d.Import(t, images.Wasm("exit"))
	var wg sync.WaitGroup
	for i := range pods {
		p := podConfig(t, d, host)
		wg.Go(func() { runPodToTheEnd(t, d, p, int32(i)) })
	}
	wg.Wait()
	if n := compilations.Count(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
}

// By this annotation the runtime knows on whose behalf a container waits for a compiler.
// Its pod's annotations do not change it.
func TestContainersNameTheirNamespace(t *testing.T) {
	const name = "io.kubernetes.cri.sandbox-namespace"
	d := shared(t)
	config := podConfig(t, d, host)
	config.Annotations = map[string]string{name: "another"}
	p := runPod(t, d, config, daemon.Handler)
	c := containerConfig("exit")
	c.Annotations = config.Annotations
	ctx := namespaces.WithNamespace(p.ctx, "k8s.io")
	made, err := d.Client().LoadContainer(ctx, p.create(t, c).id)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := made.Spec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := spec.Annotations[name]; got != config.Metadata.Namespace {
		t.Errorf("the container is said to be of namespace %q", got)
	}
	p.remove(t)
}
