// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

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
		root + "/odd#name.wasm":      wasm + "odd",
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
		e, err := openEntrypoint(js, command(name))
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
		expectContent(t, e, name, want)
		if e.function != "_start" || e.args[0] != name {
			t.Errorf("%s: function %q, arguments %q", name, e.function, e.args)
		}
	}
}

// expectContent closes the entrypoint that a name stood for.
func expectContent(t *testing.T, e *entrypoint, name, want string) {
	t.Helper()
	defer e.file.Close()
	if b, err := io.ReadAll(e.file); err != nil || string(b) != wasm+want {
		t.Errorf("%s: read %q, %v", name, b, err)
	}
}

func TestFunctionsInEntrypoints(t *testing.T) {
	js := container(t)
	for name, want := range map[string]struct{ module, function, err string }{
		"/app.wasm#run":         {"root", "run", ""},
		"/app#run":              {"root", "run", ""},
		"./local#run":           {"local", "run", ""},
		"tool#run":              {"tool", "run", ""},
		"/vol/volume.wasm#run":  {"volume", "run", ""},
		"/vol#run":              {"volume", "run", ""},
		"/app.wasm#a#b":         {"root", "a#b", ""},
		"/app.wasm#x:y/z@1#run": {"root", "x:y/z@1#run", ""},
		"/odd#name.wasm":        {"odd", "_start", ""},
		"/odd#name":             {"odd", "_start", ""},
		"/odd#name.wasm#run":    {"", "", `entrypoint "/odd#name.wasm#run": no such file in the container; modules in it: /app.wasm`},
		"/none#run":             {"", "", `entrypoint "/none#run": no such file in the container; modules in it: /app.wasm`},
		"#":                     {"", "", `entrypoint "#": before the # there is to be a module`},
		"#run":                  {"", "", `entrypoint "#run": before the # there is to be a module`},
		"/app.wasm#":            {"", "", `entrypoint "/app.wasm#": before the # there is to be a module, and after it a function`},
		"/fifo#run":             {"", "", "not a regular file"},
		"/app.wasm#a\x00":       {"", "", "contains a NUL byte"},
	} {
		e, err := openEntrypoint(js, command(name))
		if want.err != "" {
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%s: got %v, want %q", name, err, want.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expectContent(t, e, name, want.module)
		if e.function != want.function {
			t.Errorf("%s: function %q, want %q", name, e.function, want.function)
		}
	}
}

// What a client sends is not repeated in an error of megabytes, and looks at nothing
// else.
func TestHostileEntrypoints(t *testing.T) {
	js := container(t)
	for desc, tc := range map[string]struct {
		name string
		path string
		is   func(error) bool
	}{
		"long":                   {"/" + strings.Repeat("x", 1<<20), "", errdefs.IsInvalidArgument},
		"long function":          {"/app.wasm#" + strings.Repeat("x", 1<<20), "", errdefs.IsInvalidArgument},
		"many functions":         {strings.Repeat("#", 4096), "", errdefs.IsInvalidArgument},
		"long component":         {"/" + strings.Repeat("x", 300), "", errdefs.IsNotFound},
		"many components":        {strings.Repeat("/x", 2048), "", errdefs.IsNotFound},
		"long directory in PATH": {"x", strings.Repeat("x", 1<<20), errdefs.IsNotFound},
		"NUL":                    {"/app\x00.wasm", "", errdefs.IsInvalidArgument},
		"NUL in PATH":            {"x", "/bin\x00", errdefs.IsInvalidArgument},
		"not UTF-8":              {"/\xff\xfe", "", errdefs.IsNotFound},
		"terminal":               {"/\x1b[2J", "", errdefs.IsNotFound},
	} {
		p := command(tc.name)
		p.Env = []string{"PATH=" + tc.path}
		_, err := openEntrypoint(js, p)
		if err == nil || !tc.is(err) || len(err.Error()) > 6<<10 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\x1b") {
			t.Errorf("%s: %.200s", desc, fmt.Sprint(err))
		}
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

func command(arg string) *specs.Process {
	return &specs.Process{Args: []string{arg}, Cwd: "/work", Env: []string{"PATH=/bin:/usr/bin"}}
}

func TestEntrypointsThatAreNoFiles(t *testing.T) {
	js := container(t)
	for name, want := range map[string]string{
		"/usr":       "this directory has several WebAssembly modules, name one as the command: /usr/bin/other.wasm, /usr/bin/tool",
		"/etc":       "this directory has no WebAssembly module",
		"..":         "this directory has several WebAssembly modules, name one as the command: /app.wasm, ",
		"/fifo":      "not a regular file",
		"/loop.wasm": "too many levels of symbolic links",
	} {
		if _, err := openEntrypoint(js, command(name)); err == nil || !strings.Contains(err.Error(), want) {
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
	_, err := openEntrypoint(&jail.Spec{Rootfs: t.TempDir()}, command("/app.wasm"))
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), `entrypoint "/app.wasm": no such file in the container; it has no WebAssembly module`) {
		t.Fatalf("got %v", err)
	}
}
