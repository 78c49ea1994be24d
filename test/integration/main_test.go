// SPDX-License-Identifier: Apache-2.0

// Package integration tests the daemon as users of containerd meet it: through its
// client library and through ctr.
package integration

import (
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func TestMain(m *testing.M) { os.Exit(daemon.RunTests(m)) }

// shared has the images of guests, and of one native program for runc.
var shared = daemon.Shared(func(t testing.TB, d *daemon.Daemon) {
	d.Import(t, images.Native("hello"), images.Native("sleep"))
	for _, name := range guests {
		d.Import(t, images.Wasm(name))
	}
	importTools(t, d)
	// What the first guest of a daemon, and the first shim, make for good is no leak.
	for _, snapshotter := range []string{daemon.Snapshotter, "overlayfs"} {
		args := append(d.RunArgs("--snapshotter", snapshotter), images.Wasm("exit").Ref, newID())
		expect(t, d.Ctr(t, args...), 0, "")
	}
	expect(t, d.Ctr(t, "run", "--rm", images.Native("hello").Ref, "first"), 0, "hello from a native process\n")
})

var guests = []string{"cat", "echo", "env", "exit", "ls", "mem", "recurse", "sleep", "spin", "trap", "write"}

// expect checks what a command or a container wrote and returned.
func expect(t testing.TB, got daemon.Output, code int, stdout string) {
	t.Helper()
	if got.Code != code || got.Stdout != stdout {
		t.Errorf("code %d, stdout %q, stderr %q; want code %d, stdout %q", got.Code, got.Stdout, got.Stderr, code, stdout)
	}
}

// fromSource compiles a module of testdata.
func fromSource(t testing.TB, name string) []byte {
	t.Helper()
	module, err := images.CompileFile(t.Context(), filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// importFiles makes an image of files, whose entrypoint is args, and returns its
// name.
func importFiles(t testing.TB, d *daemon.Daemon, files map[string][]byte, args ...string) string {
	t.Helper()
	img, err := images.New(images.Host(), v1.Config{Entrypoint: args, WorkingDir: "/"}, files)
	if err != nil {
		t.Fatal(err)
	}
	return importImage(t, d, img)
}

// importImage names an image after its digest, so that tests cannot clash.
func importImage(t testing.TB, d *daemon.Daemon, img v1.Image) string {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref := "example.com/test:" + digest.Hex[:12]
	d.ImportImage(t, ref, img)
	return ref
}

func importModule(t testing.TB, d *daemon.Daemon, module []byte) string {
	t.Helper()
	return importFiles(t, d, map[string][]byte{"/main.wasm": module}, "/main.wasm")
}
