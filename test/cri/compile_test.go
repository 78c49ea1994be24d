// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"sync"
	"testing"

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
