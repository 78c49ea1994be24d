// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"sync"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

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
		wg.Go(func() {
			r, err := d.CRI().RunPodSandbox(t.Context(), &criapi.RunPodSandboxRequest{Config: p, RuntimeHandler: daemon.Handler})
			if err != nil {
				t.Error(err)
				return
			}
			pod := &pod{d: d, id: r.GetPodSandboxId(), config: p, ctx: t.Context()}
			defer pod.remove(t)
			runToTheEnd(t, pod, int32(i))
		})
	}
	wg.Wait()
	if n := compilations.Count(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
}
