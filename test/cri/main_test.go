// SPDX-License-Identifier: Apache-2.0

// Package cri tests the daemon as kubelet meets it: through CRI's socket alone.
package cri

import (
	"os"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func TestMain(m *testing.M) { os.Exit(daemon.RunTests(m)) }

var shared = daemon.Shared(func(t testing.TB, d *daemon.Daemon) {
	for _, name := range []string{"hello-c", "cat", "env", "exit", "mem", "sleep", "spin", "trap", "write", "use"} {
		d.Import(t, images.Wasm(name))
	}
	importSource(t, d, listenImage, "../integration/testdata/listen.c")
	flood, err := images.CompileFile(t.Context(), "../integration/testdata/flood.wat")
	if err != nil {
		t.Fatal(err)
	}
	img, err := images.Several(t.Context(), map[string][]byte{"/elf": []byte("\x7fELF\x02\x01\x01"), "/flood.wasm": flood}, "sleep", "cat", "echo", "env", "exit", "ls", "mem", "spin", "trap", "write")
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, toolsImage, img)
	importSource(t, d, netImage, "testdata/net.c")
	importSource(t, d, countImage, "testdata/count.c")
	// The first pod makes what stays for all others, such as the bridge.
	p := wasmPod(t, d, own)
	config := containerConfig("exit")
	config.Mounts = []*criapi.Mount{imageVolume(toolsImage, "/image", "")}
	p.run(t, config).expectExit(t, 0, "Completed")
	p.remove(t)
}, daemon.WithBridge())

const (
	listenImage = "example.com/listen:latest"
	netImage    = "example.com/net:latest"
	countImage  = "example.com/count:latest"
	// toolsImage has several modules; its entrypoint sleeps.
	toolsImage = "example.com/tools:latest"
)

// importSource imports an image under the name ref, of the guest that a source file
// compiles to.
func importSource(t testing.TB, d *daemon.Daemon, ref, path string) {
	t.Helper()
	module, err := images.CompileFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"/main.wasm"}}, map[string][]byte{"/main.wasm": module})
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, ref, img)
}
