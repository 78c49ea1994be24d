// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/oci"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// expectRefusal checks that the container does not start, with an error that says
// why.
func expectRefusal(t *testing.T, d *daemon.Daemon, j job, want string) {
	t.Helper()
	err := attempt(t, d, j)
	if err == nil {
		t.Error("the container started")
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %q, want one with %q", err, want)
	}
}

func TestModulesThatCannotRun(t *testing.T) {
	const header = "\x00asm\x01\x00\x00\x00"
	for name, tc := range map[string]struct {
		module []byte
		want   string
	}{
		"text":           {[]byte("hello world"), "not a WebAssembly module"},
		"empty":          {nil, "is empty"},
		"script":         {[]byte("#!/bin/sh\necho hello\n"), "is a script"},
		"truncated":      {[]byte(header + "\x01\x10\x01"), "truncated"},
		"ELF":            {[]byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100)), "is an ELF file"},
		"component":      {[]byte("\x00asm\x0d\x00\x01\x00"), "is a WebAssembly component"},
		"missing import": {fromSource(t, "import.wat"), `"env"."missing"`},
		"no _start":      {[]byte(header), `no function "_start"`},
		"invalid code":   {[]byte(header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x05\x01\x03\x00\x6a\x0b"), "is not a valid WebAssembly module"},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			expectRefusal(t, d, job{image: importModule(t, d, tc.module)}, tc.want)
		})
	}
}

func TestEntrypointsThatAreNotThere(t *testing.T) {
	d := shared(t)
	module := []byte("\x00asm\x01\x00\x00\x00")
	none := importFiles(t, d, map[string][]byte{"/etc/text": []byte("x")}, "/main.wasm")
	some := importFiles(t, d, map[string][]byte{"/bin/one.wasm": module, "/two": module, "/text": []byte("x")}, "/main.wasm")
	noCommand := importFiles(t, d, map[string][]byte{"/bin/one.wasm": module, "/two": module, "/etc/text": []byte("x")})
	for name, tc := range map[string]struct {
		image string
		args  []string
		want  string
	}{
		"no module":   {none, nil, `"/main.wasm": no such file in the container; it has no WebAssembly module`},
		"others":      {some, nil, "modules in it: /bin/one.wasm, /two"},
		"directory":   {noCommand, []string{"/etc"}, `entrypoint "/etc": this directory has no WebAssembly module`},
		"several":     {noCommand, []string{"/"}, `entrypoint "/": this directory has several WebAssembly modules, name one as the command: /bin/one.wasm, /two`},
		"function":    {noCommand, []string{"/two#none"}, `module "two" exports no function "_start"`},
		"no command":  {noCommand, []string{""}, "no entrypoint"},
		"host's file": {noCommand, []string{"/proc/self/exe"}, "no such file in the container"},
		"up and out":  {noCommand, []string{"../../../../etc/passwd"}, "no such file in the container"},
	} {
		t.Run(name, func(t *testing.T) { expectRefusal(t, shared(t), job{image: tc.image, args: tc.args}, tc.want) })
	}
}

// withLinks adds a layer of symbolic links to an image.
func withLinks(t *testing.T, img v1.Image, links map[string]string) v1.Image {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, target := range links {
		if err := w.WriteHeader(&tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink, Mode: 0o777}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.AppendLayers(img, layer)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestSymlinksStayInTheImage(t *testing.T) {
	d := shared(t)
	exit, err := images.Image(t.Context(), images.Wasm("exit"))
	if err != nil {
		t.Fatal(err)
	}
	ref := importImage(t, d, withLinks(t, exit, map[string]string{
		"loop.wasm": "/loop.wasm",
		"abs.wasm":  "/exit.wasm",
		"up.wasm":   "../../../../../exit.wasm",
		"host.wasm": "../../../../../../proc/self/exe",
		"host":      "../../../../../../etc",
	}))
	for command, want := range map[string]string{
		"/loop.wasm":   "too many levels of symbolic links",
		"/host.wasm":   "no such file",
		"/host/passwd": "no such file",
	} {
		t.Run(command, func(t *testing.T) {
			expectRefusal(t, shared(t), job{image: ref, opts: []oci.SpecOpts{oci.WithProcessArgs(command)}}, want)
		})
	}
	for _, command := range []string{"/abs.wasm", "/up.wasm"} {
		t.Run(command, func(t *testing.T) {
			out := run(t, shared(t), job{image: ref, opts: []oci.SpecOpts{oci.WithProcessArgs(command, "42")}})
			expect(t, out, 42, "")
		})
	}
}

func TestRequestsThatGuestsCannotHave(t *testing.T) {
	withMount := func(m specs.Mount) job {
		return job{image: "exit", opts: []oci.SpecOpts{oci.WithMounts([]specs.Mount{m})}}
	}
	for name, tc := range map[string]struct {
		job  job
		want string
	}{
		"mount type":      {withMount(specs.Mount{Type: "nfs", Source: "host:/dir", Destination: "/data"}), `mount on "/data": type "nfs"`},
		"mount source":    {withMount(specs.Mount{Type: "bind", Source: "/does/not/exist", Destination: "/data", Options: []string{"rbind"}}), `"/does/not/exist"`},
		"mount option":    {withMount(specs.Mount{Type: "bind", Source: "/tmp", Destination: "/data", Options: []string{"rbind", "odd"}}), `option "odd"`},
		"mount target":    {withMount(specs.Mount{Type: "bind", Source: "/tmp", Destination: "/", Options: []string{"rbind"}}), "not an absolute path below /"},
		"device":          {job{image: "exit", opts: []oci.SpecOpts{oci.WithLinuxDevice("/dev/null", "rwm")}}, `device "/dev/null"`},
		"user namespace":  {job{image: "exit", opts: []oci.SpecOpts{oci.WithUserNamespace([]specs.LinuxIDMapping{{HostID: 1000, Size: 1}}, []specs.LinuxIDMapping{{HostID: 1000, Size: 1}})}}, "a user namespace"},
		"network":         {job{image: "exit", opts: []oci.SpecOpts{oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/does/not/exist"})}}, `"/does/not/exist"`},
		"argument":        {job{image: "exit", args: []string{"a\x00b"}}, "NUL byte"},
		"unknown command": {job{image: "exit", opts: []oci.SpecOpts{oci.WithProcessArgs("sh", "-c", "true")}}, `entrypoint "sh"`},
	} {
		t.Run(name, func(t *testing.T) { expectRefusal(t, shared(t), tc.job, tc.want) })
	}
}
