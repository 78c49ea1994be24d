// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// library compiles testdata/library.c as a toolchain makes libraries.
func library(t testing.TB) []byte {
	t.Helper()
	return build(t, "clang", "--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-s", "testdata/library.c")
}

// build runs a compiler, and returns what it makes.
func build(t testing.TB, tool string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "library.wasm")
	cmd := exec.CommandContext(t.Context(), tool, slices.Insert(args, len(args)-1, "-o", out)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func guest(t testing.TB, name string) []byte {
	t.Helper()
	module, err := images.Compile(t.Context(), images.Wasm(name))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// importFiles imports an image of files, none of which is executable.
func importFiles(t testing.TB, d *daemon.Daemon, name string, config v1.Config, files map[string][]byte) string {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for file, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(file, "/"), Mode: 0o444, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := images.FromTar(images.Host(), config, layer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	ref := "example.com/entrypoint-" + name + ":latest"
	d.ImportImage(t, ref, img)
	return ref
}

// entrypoints is an image with modules in several places; env prints its arguments.
func entrypoints(t testing.TB, d *daemon.Daemon) string {
	env := guest(t, "env")
	return importFiles(t, d, "several", v1.Config{Entrypoint: []string{"tool"}, Cmd: []string{"image's"}, WorkingDir: "/opt", Env: []string{"PATH=/usr/bin:/bin"}},
		map[string][]byte{
			"/bin/tool.wasm": env, "/usr/bin/plain": env, "/opt/app.wasm": env, "/odd#name.wasm": env,
			"/lib.wasm": library(t), "/sleep.wasm": guest(t, "sleep"), "/etc/text": []byte("text"),
		})
}

func TestEntrypoints(t *testing.T) {
	d := shared(t)
	image, volume := entrypoints(t, d), t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "on-volume.wasm"), guest(t, "env"), 0o400); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		command, args []string
		dir           string
		code          int32
		want          string // the arguments that it sees
	}{
		"the image's":                     {nil, nil, "", 0, "tool image's"},
		"the image's, other arguments":    {nil, []string{"one", "two"}, "", 0, "tool one two"},
		"absolute path":                   {[]string{"/bin/tool.wasm"}, []string{"one"}, "", 0, "/bin/tool.wasm one"},
		"without .wasm":                   {[]string{"/bin/tool"}, nil, "", 0, "/bin/tool"},
		"without .wasm in the image":      {[]string{"/usr/bin/plain"}, nil, "", 0, "/usr/bin/plain"},
		"relative path":                   {[]string{"./app.wasm"}, nil, "", 0, "./app.wasm"},
		"relative path without .wasm":     {[]string{"../bin/tool"}, nil, "", 0, "../bin/tool"},
		"relative to the pod's directory": {[]string{"bin/plain"}, nil, "/usr", 0, "bin/plain"},
		"in the working directory":        {[]string{"app"}, nil, "", 0, "app"},
		"on PATH":                         {[]string{"tool"}, nil, "", 0, "tool"},
		"on PATH with .wasm":              {[]string{"tool.wasm"}, nil, "", 0, "tool.wasm"},
		"a # in the name":                 {[]string{"/odd#name.wasm"}, nil, "", 0, "/odd#name.wasm"},
		"a function of a command":         {[]string{"/bin/tool#_start"}, []string{"one"}, "", 0, "/bin/tool#_start one"},
		"a function":                      {[]string{"/lib.wasm#greet"}, []string{"one", "two"}, "", 0, "/lib.wasm#greet one two"},
		"a function, relative":            {[]string{"../lib#greet"}, nil, "", 0, "../lib#greet"},
		"a library is initialized":        {[]string{"/lib.wasm#ready"}, nil, "", 0, ""},
		"the initializer":                 {[]string{"/lib.wasm#_initialize"}, nil, "", 0, ""},
		"a result":                        {[]string{"/lib.wasm#seven"}, nil, "", 7, ""},
		"a result below 0":                {[]string{"/lib.wasm#minus_one"}, nil, "", 255, ""},
		"an exit":                         {[]string{"/lib.wasm#leave"}, nil, "", 42, ""},
		"a trap":                          {[]string{"/lib.wasm#die"}, nil, "", 134, ""},
		"a directory with one module":     {[]string{"/opt"}, []string{"one"}, "", 0, "/opt/app.wasm one"},
		"the working directory":           {[]string{"."}, nil, "", 0, "/opt/app.wasm"},
		"on a volume":                     {[]string{"/data/on-volume"}, nil, "", 0, "/data/on-volume"},
		"a directory on a volume":         {[]string{"/data"}, nil, "", 0, "/data/on-volume.wasm"},
		"a function of a directory's":     {[]string{"/data#_start"}, nil, "", 0, "/data/on-volume.wasm#_start"},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(image, tc.args...)
			config.Command, config.WorkingDir = tc.command, tc.dir
			config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/data", Readonly: true}}
			c := wasmPod(t, d, host).run(t, config)
			c.expectExit(t, tc.code, map[bool]string{true: "Completed", false: "Error"}[tc.code == 0])
			var args []string
			for line := range strings.Lines(c.logs(t, "stdout")) {
				if arg, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "arg "); ok {
					args = append(args, arg)
				}
			}
			if got := strings.Join(args, " "); got != tc.want {
				t.Errorf("it sees %q, want %q", got, tc.want)
			}
		})
	}
}

func TestEntrypointsThatCannotStart(t *testing.T) {
	d := shared(t)
	image := entrypoints(t, d)
	const functions = `it can begin with "`
	for name, tc := range map[string]struct{ command, want string }{
		"not there":            {"/none.wasm", `entrypoint "/none.wasm": no such file in the container; modules in it: /bin/tool.wasm, /lib.wasm, /odd#name.wasm, /opt/app.wasm, /sleep.wasm, and 1 more`},
		"not on PATH":          {"none", `entrypoint "none": no such file in the container`},
		"no module":            {"/etc/text", `module "text" is not a WebAssembly module`},
		"several":              {"/", `entrypoint "/": this directory has several WebAssembly modules, name one as the command: /bin/tool.wasm, `},
		"nothing in it":        {"/etc", `entrypoint "/etc": this directory has no WebAssembly module`},
		"a library":            {"/lib.wasm", `module "lib.wasm" exports "_initialize" and no "_start": it is a reactor (a library); build it as a command, without -mexec-model=reactor, -buildmode=c-shared or crate-type cdylib; or name one of its functions after a #: "`},
		"no such function":     {"/lib.wasm#none", `module "lib.wasm" exports no function "none"; ` + functions},
		"parameters":           {"/lib.wasm#add", `module "lib.wasm" exports function "add" with 2 parameters and 1 results, and an entrypoint has no parameters`},
		"another result":       {"/lib.wasm#pi", `module "lib.wasm" exports function "pi" with 0 parameters and 1 results, and an entrypoint has no parameters and at most one result, an i32, which is the exit code; ` + functions},
		"no function":          {"/lib.wasm#memory", `module "lib.wasm" exports no function "memory"`},
		"the engine's":         {"/lib.wasm#containerd-wasm.start", `exports no function "containerd-wasm.start"`},
		"of a command":         {"/bin/tool#none", `module "tool.wasm" exports no function "none"; it can begin with "_start"`},
		"#":                    {"#", `entrypoint "#": before the # there is to be a module`},
		"no module before it":  {"#greet", `entrypoint "#greet": before the # there is to be a module`},
		"no function after it": {"/lib.wasm#", `entrypoint "/lib.wasm#": before the # there is to be a module, and after it a function`},
		"a long path":          {"/" + strings.Repeat("x", 1<<20), "the entrypoint has 1048577 bytes, more than 4096"},
		"a long function":      {"/lib.wasm#" + strings.Repeat("x", 4000), `module "lib.wasm" exports no function "` + strings.Repeat("x", 64) + `"; ` + functions},
		"a terminal's control": {"/lib.wasm#\x1b[2J", `exports no function "\x1b[2J"`},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(image)
			config.Command = []string{tc.command}
			c := wasmPod(t, d, host).create(t, config)
			if err := c.start(); err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 8<<10 {
				t.Errorf("the error is %.2000v, want one with %q", err, tc.want)
			}
			if s := c.wait(t); s.GetReason() != "StartError" || !strings.Contains(s.GetMessage(), tc.want) {
				t.Errorf("reason %q, message %.2000q", s.GetReason(), s.GetMessage())
			}
		})
	}
}

// Go's runtime is made by the initializer; it takes PWD for its working directory.
func TestGoLibrary(t *testing.T) {
	d := shared(t)
	module := build(t, "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "testdata/library.go")
	image := importFiles(t, d, "go-library", v1.Config{Entrypoint: []string{"/lib#probe"}}, map[string][]byte{"/lib.wasm": module})
	p := wasmPod(t, d, host)
	config := containerConfig(image, "one")
	config.WorkingDir = "/etc"
	c := p.run(t, config)
	c.expectExit(t, 3, "Error")
	if got, want := c.logs(t, "stdout"), fmt.Sprintf("%q in /etc has %s\n", []string{"/lib#probe", "one"}, p.config.GetHostname()); got != want {
		t.Errorf("it wrote %q, want %q", got, want)
	}
}

// As probes and `kubectl exec` do.
func TestExecOfAFunction(t *testing.T) {
	d := shared(t)
	config := containerConfig(entrypoints(t, d))
	config.Command = []string{"/sleep.wasm"}
	c := wasmPod(t, d, host).run(t, config)
	c.waitForLog(t, "sleeping")
	for name, tc := range map[string]struct {
		command []string
		code    int32
		stdout  string
		err     string
	}{
		"output":           {[]string{"/lib.wasm#greet", "one"}, 0, "arg /lib.wasm#greet\narg one\n", ""},
		"a probe that is":  {[]string{"/lib#ready"}, 0, "", ""},
		"one that is not":  {[]string{"../lib#seven"}, 7, "", ""},
		"a trap":           {[]string{"/lib.wasm#die"}, 134, "", ""},
		"no such function": {[]string{"/lib.wasm#none"}, 0, "", `module "lib.wasm" exports no function "none"`},
		"of the container": {[]string{"/sleep.wasm#none"}, 0, "", `module "sleep.wasm" exports no function "none"; it can begin with "_start"`},
		"a directory":      {[]string{"/opt", "one"}, 0, "arg /opt/app.wasm\narg one\n", ""},
		"several modules":  {[]string{"/"}, 0, "", "this directory has several WebAssembly modules"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.execSync(60, tc.command...)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("the error is %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.GetExitCode() != tc.code || !strings.HasPrefix(string(r.GetStdout()), tc.stdout) {
				t.Errorf("code %d, stdout %q, want %d, %q", r.GetExitCode(), r.GetStdout(), tc.code, tc.stdout)
			}
		})
	}
	if _, err := c.execSync(1, "/lib.wasm#spin"); err == nil || !strings.Contains(err.Error(), "timeout 1s exceeded") {
		t.Errorf("a function that spins: %v", err)
	}
}

// An image that names no command, in a pod that names none, runs its only module.
func TestOnlyModuleOfAnImage(t *testing.T) {
	d := shared(t)
	env, text := guest(t, "env"), []byte("text")
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "other.wasm"), env, 0o400); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		config v1.Config
		files  map[string][]byte
		want   string // the first argument, or an error of the start
	}{
		"one":                 {v1.Config{}, map[string][]byte{"/app.wasm": env}, "arg /app.wasm"},
		"among others":        {v1.Config{Env: []string{"A=1"}}, map[string][]byte{"/a/b/app": env, "/text": text, "/a/text.wasm": text}, "arg /a/b/app"},
		"an empty entrypoint": {v1.Config{Entrypoint: []string{""}}, map[string][]byte{"/app.wasm": env}, "arg /app.wasm"},
		"several":             {v1.Config{}, map[string][]byte{"/a.wasm": env, "/b.wasm": env}, `entrypoint "/": this directory has several WebAssembly modules, name one as the command: /a.wasm, /b.wasm`},
		"none":                {v1.Config{}, map[string][]byte{"/text": text, "/bin/sh": []byte("\x7fELF")}, `entrypoint "/": this directory has no WebAssembly module`},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(importFiles(t, d, strings.ReplaceAll(name, " ", "-"), tc.config, tc.files))
			config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/a/volume"}}
			c := wasmPod(t, d, host).create(t, config)
			if !strings.HasPrefix(tc.want, "arg ") {
				if err := c.start(); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("the error is %v, want %q", err, tc.want)
				}
				return
			}
			if err := c.start(); err != nil {
				t.Fatal(err)
			}
			c.expectExit(t, 0, "Completed")
			if lines := strings.Split(c.logs(t, "stdout"), "\n"); lines[0] != tc.want || !slices.Contains(lines, "env PWD=/") {
				t.Errorf("it sees %q, want %q", lines, tc.want)
			}
		})
	}
}

// With a command or arguments, in a pod of another handler, or without such a pod or
// image, everything is upstream's.
func TestContainersThatNeedACommand(t *testing.T) {
	d := linux(t)
	image := importFiles(t, d, "no-command", v1.Config{}, map[string][]byte{"/app.wasm": guest(t, "env")})
	ofRunc := runPod(t, d, podConfig(t, d, own), "")
	if err := ofRunc.attempt(t, containerConfig(image)); err == nil || !strings.Contains(err.Error(), "no command specified") {
		t.Errorf("in a pod of runc: %v", err)
	}
	function := containerConfig("exit")
	function.Command = []string{"/exit.wasm#_start"}
	if err := ofRunc.attempt(t, function); err == nil || !strings.Contains(err.Error(), `use a RuntimeClass with the handler "wasm"`) {
		t.Errorf("a function in a pod of runc: %v", err)
	}
	p := wasmPod(t, d, host)
	if err := p.attempt(t, containerConfig("example.com/none:latest")); err == nil || !strings.Contains(err.Error(), "failed to resolve image") {
		t.Errorf("no such image: %v", err)
	}
	c := p.run(t, containerConfig(image, "/app", "one"))
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); !strings.HasPrefix(got, "arg /app\narg one\n") {
		t.Errorf("with arguments alone: %q", got)
	}
	p.stop(t)
	if err := p.attempt(t, containerConfig(image)); err == nil || strings.Contains(err.Error(), "no command specified") {
		t.Errorf("in a pod that has ended: %v", err)
	}
	_, err := d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: "none", Config: containerConfig(image), SandboxConfig: p.config})
	if err == nil || !strings.Contains(err.Error(), `failed to find sandbox id "none"`) {
		t.Errorf("no such pod: %v", err)
	}
}

// Clients that give up and try again leave no half of a container behind.
func TestManyContainersWithoutACommand(t *testing.T) {
	d := shared(t)
	image := importFiles(t, d, "many", v1.Config{}, map[string][]byte{"/app.wasm": guest(t, "exit")})
	p := wasmPod(t, d, host)
	for i := range 20 {
		config := containerConfig(image)
		config.Metadata.Name = fmt.Sprintf("many-%d", i)
		c := p.run(t, config)
		c.expectExit(t, 0, "Completed")
		c.remove(t)
	}
	r, err := d.CRI().ListContainers(t.Context(), &criapi.ListContainersRequest{Filter: &criapi.ContainerFilter{PodSandboxId: p.id}})
	if err != nil || len(r.GetContainers()) != 0 {
		t.Errorf("containers are left: %v (%v)", r.GetContainers(), err)
	}
}
