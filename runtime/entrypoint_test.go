// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

const wasm = "\x00asm\x01\x00\x00\x00"

// container is a root with modules in several places, and a volume.
func container(t testing.TB) *jail.Spec {
	t.Helper()
	root, volume, outside := t.TempDir(), t.TempDir(), t.TempDir()
	files := map[string]string{
		root + "/app.wasm":           wasm + "root",
		root + "/usr/bin/tool":       wasm + "tool",
		root + "/usr/bin/other.wasm": wasm + "other",
		root + "/work/local.wasm":    wasm + "local",
		root + "/etc/text":           "text",
		volume + "/volume.wasm":      wasm + "volume",
		outside + "/outside.wasm":    wasm + "outside",
		root + outside + "/in.wasm":  wasm + "inside",
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	links := map[string]string{
		"link.wasm":     "app.wasm",
		"absolute.wasm": "/app.wasm",
		"escape.wasm":   outside + "/outside.wasm",
		"dotdot.wasm":   "../../../../../../app.wasm",
		"within.wasm":   outside + "/in.wasm",
		"loop.wasm":     "loop.wasm",
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	return &jail.Spec{Rootfs: root, Mounts: []jail.Mount{{Source: volume, Target: "/vol"}}}
}

func TestOpenEntrypoint(t *testing.T) {
	js := container(t)
	for name, want := range map[string]string{
		"/app.wasm":            "root",
		"app.wasm":             "", // not in /work, not in PATH
		"./local.wasm":         "local",
		"local.wasm":           "local",
		"../app.wasm":          "root",
		"/../../app.wasm":      "root",
		"tool":                 "tool",
		"/link.wasm":           "root",
		"/absolute.wasm":       "root",
		"/dotdot.wasm":         "root",
		"/within.wasm":         "inside",
		"/escape.wasm":         "",
		"/vol/volume.wasm":     "volume",
		"/vol/../app.wasm":     "root",
		"/volume.wasm":         "",
		"/nothing":             "",
		"/app":                 "root",
		"./local":              "local",
		"other":                "other",
		"/vol/volume":          "volume",
		"/app.wasm/below":      "",
		"nothing/at/all":       "",
		strings.Repeat("x", 9): "",
	} {
		f, err := openEntrypoint(js, process(name))
		if want == "" {
			if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "modules in it: /app.wasm") {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, err := io.ReadAll(f); err != nil || string(b) != wasm+want {
			t.Errorf("%s: read %q, %v", name, b, err)
		}
		f.Close()
	}
}

// realPath is where the kernel has an opened file.
func realPath(t testing.TB, f *os.File) string {
	t.Helper()
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func process(arg string) *specs.Process {
	return &specs.Process{Args: []string{arg}, Cwd: "/work", Env: []string{"PATH=/bin:/usr/bin"}}
}

func TestEntrypointsThatAreNoFiles(t *testing.T) {
	js := container(t)
	for name, want := range map[string]string{
		"/usr":       "not a regular file",
		"/fifo":      "not a regular file",
		"/loop.wasm": "too many levels of symbolic links",
	} {
		if _, err := openEntrypoint(js, process(name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestPathWithTooManyDirectories(t *testing.T) {
	p := &specs.Process{Args: []string{"x"}, Env: []string{"PATH=" + strings.Repeat(":", 1001)}}
	if _, err := openEntrypoint(&jail.Spec{Rootfs: t.TempDir()}, p); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "PATH has 1002 directories") {
		t.Fatalf("got %v", err)
	}
}

func TestImageWithoutModules(t *testing.T) {
	_, err := openEntrypoint(&jail.Spec{Rootfs: t.TempDir()}, process("/app.wasm"))
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), `entrypoint "/app.wasm": no such file in the container; it has no WebAssembly module`) {
		t.Fatalf("got %v", err)
	}
}
