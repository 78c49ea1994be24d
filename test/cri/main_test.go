// SPDX-License-Identifier: Apache-2.0

// Package cri tests the daemon as kubelet meets it: through CRI's socket alone.
package cri

import (
	"os"
	"os/exec"
	"path/filepath"
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
	img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"/main.wasm"}}, map[string][]byte{"/main.wasm": listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, listenImage, img)
	flood, err := images.CompileFile(t.Context(), "../integration/testdata/flood.wat")
	if err != nil {
		t.Fatal(err)
	}
	img, err = images.Several(t.Context(), map[string][]byte{"/elf": []byte("\x7fELF\x02\x01\x01"), "/flood.wasm": flood}, "sleep", "cat", "echo", "env", "exit", "ls", "mem", "spin", "trap", "write")
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, toolsImage, img)
	// The first pod makes what stays for all others, such as the bridge.
	p := wasmPod(t, d, own)
	config := containerConfig("exit")
	config.Mounts = []*criapi.Mount{imageVolume(toolsImage, "/image", "")}
	p.run(t, config).expectExit(t, 0, "Completed")
	p.remove(t)
}, daemon.WithBridge())

const (
	listenImage = "example.com/listen:latest"
	// toolsImage has several modules; its entrypoint sleeps.
	toolsImage = "example.com/tools:latest"
)

// listen compiles a guest that accepts one connection.
func listen(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "listen.wasm")
	cmd := exec.CommandContext(t.Context(), "clang", "--target=wasm32-wasi", "-O2", "-s", "-o", out, "../integration/testdata/listen.c")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module
}
