// SPDX-License-Identifier: Apache-2.0

// Package images builds the images that the tests and the demo run, from the
// sources beside it, and makes images of any other files.
package images

import (
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PauseRef is what containerd calls the image of a pod's pause container unless it
// is configured otherwise (DefaultSandboxImage in its internal/cri/config).
const PauseRef = "registry.k8s.io/pause:3.10.2"

// Spec is an image to be built from a source in this folder.
type Spec struct {
	Name     string // of the archive, without ".tar"
	Ref      string // the image's full name
	Source   string // a C file, or a folder with a Go program
	Path     string // where the program goes in the image; it is the entrypoint
	Platform v1.Platform
	Env      []string

	target target
}

// Host is the platform that images have by default, also those with Wasm in them:
// an unconfigured container engine unpacks and runs nothing else.
func Host() v1.Platform {
	return v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
}

// WASI is the platform that Docker and others give to images with Wasm in them.
func WASI() v1.Platform {
	return v1.Platform{OS: "wasi", Architecture: "wasm"}
}

// Wasm returns the image of a program compiled to WebAssembly:
// docker.io/containerd-wasm/NAME:latest for this machine's platform.
func Wasm(name string) Spec {
	return Spec{
		Name:     name,
		Ref:      "docker.io/containerd-wasm/" + name + ":latest",
		Source:   wasmSource(name),
		Path:     "/" + entrypoint(name) + ".wasm",
		Platform: Host(),
		target:   wasm,
	}
}

// ForWASI returns s for the platform wasi/wasm, with the tag "wasi".
func (s Spec) ForWASI() Spec {
	s.Ref = "docker.io/containerd-wasm/" + s.Name + ":wasi"
	s.Name += ".wasi"
	s.Platform = WASI()
	return s
}

// Native returns the image of a Linux program that runc runs:
// docker.io/containerd-wasm/native-NAME:latest.
func Native(name string) Spec {
	return Spec{
		Name:     "native-" + name,
		Ref:      "docker.io/containerd-wasm/native-" + name + ":latest",
		Source:   "native/" + name,
		Path:     "/" + name,
		Platform: Host(),
		target:   native,
	}
}

// Pause returns the image of a pod's pause container, which runc's pods need, for
// machines that cannot pull the original.
func Pause() Spec {
	s := Native("pause")
	s.Name, s.Ref, s.Source = "pause", PauseRef, "native/pause/pause.c"
	return s
}

// All returns every image that this package has the source of, but those that only
// critest needs.
func All() []Spec {
	specs := []Spec{
		Native("hello"), Native("sidecar"), Native("sleep"), Pause(),
		Wasm("hello-c").ForWASI(), Wasm("hello-go").ForWASI(),
	}
	for _, name := range []string{
		"hello-c", "hello-go", "web",
		"cat", "echo", "env", "exit", "ls", "mem", "recurse", "sleep", "spin", "tick", "trap", "use", "write",
	} {
		specs = append(specs, Wasm(name))
	}
	return specs
}

func wasmSource(name string) string {
	switch name {
	case "hello-go", "web":
		return name
	case "hello-c":
		return "hello-c/main.c"
	default:
		return "guests/" + name + ".c"
	}
}

// entrypoint returns the program's name in the image, without ".wasm".
func entrypoint(name string) string {
	switch name {
	case "hello-go", "hello-c":
		return "hello"
	default:
		return name
	}
}
