// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// tarOf packs entries of which each has a name, and content if it is a file.
func tarOf(t testing.TB, headers []tar.Header, content map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		h.Size = int64(len(content[h.Name]))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content[h.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// withVolumes is an image that sleeps and defines volumes: one with all kinds of files,
// one that is empty, one that it has nothing of, and one behind a link.
func withVolumes(t testing.TB) v1.Image {
	t.Helper()
	content := map[string][]byte{"data/file": []byte("of the image"), "data/dir/private": []byte("private")}
	for name, path := range map[string]string{"sleep": "sleep.wasm", "cat": "cat.wasm", "write": "write.wasm", "exit": "data/exit.wasm"} {
		module, err := images.Compile(t.Context(), images.Wasm(name))
		if err != nil {
			t.Fatal(err)
		}
		content[path] = module
	}
	archive := tarOf(t, []tar.Header{
		{Name: "sleep.wasm", Mode: 0o755}, {Name: "cat.wasm", Mode: 0o755}, {Name: "write.wasm", Mode: 0o755},
		{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 1000, Gid: 1001},
		{Name: "data/file", Mode: 0o640, Uid: 1002, Gid: 1003},
		{Name: "data/dir/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 1000},
		{Name: "data/dir/private", Mode: 0o600, Uid: 1000},
		{Name: "data/same", Typeflag: tar.TypeLink, Linkname: "data/file"},
		{Name: "data/link", Typeflag: tar.TypeSymlink, Linkname: "dir/private"},
		{Name: "data/out", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "data/exit.wasm", Mode: 0o755},
		{Name: "empty/", Typeflag: tar.TypeDir, Mode: 0o750, Gid: 7},
		{Name: "linked", Typeflag: tar.TypeSymlink, Linkname: "/data/dir"},
	}, content)
	img, err := images.FromTar(images.Host(), v1.Config{
		Entrypoint: []string{"/sleep.wasm"},
		Volumes:    map[string]struct{}{"/data": {}, "/empty": {}, "/none/at/all": {}, "/linked": {}, "/mounted": {}},
	}, archive)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// spec is the container's OCI spec.
func (c *container) spec(t testing.TB) *specs.Spec {
	t.Helper()
	r, err := c.d.CRI().ContainerStatus(c.ctx, &criapi.ContainerStatusRequest{ContainerId: c.id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		RuntimeSpec specs.Spec `json:"runtimeSpec"`
	}
	if err := json.Unmarshal([]byte(r.GetInfo()["info"]), &info); err != nil {
		t.Fatal(err)
	}
	return &info.RuntimeSpec
}

// mounts are those of the spec: sources by target.
func (c *container) mounts(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range c.spec(t).Mounts {
		out[m.Destination] = m.Source
	}
	return out
}

// describeTree lists a tree. Modules have no write permission in our snapshots, which is all
// that may differ.
func describeTree(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		content, _ := os.ReadFile(path) // a directory has none
		to, _ := os.Readlink(path)
		if filepath.Ext(path) == ".wasm" {
			st.Mode &^= 0o333
		}
		out = append(out, fmt.Sprintf("%s: mode %o, owner %d:%d, %d bytes, link to %q", strings.TrimPrefix(path, dir), st.Mode, st.Uid, st.Gid, len(content), to))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Volumes that the image defines have the content that a Linux container's have.
func TestVolumesOfTheImage(t *testing.T) {
	d := linux(t)
	const ref = "example.com/with-volumes:latest"
	d.ImportImage(t, ref, withVolumes(t))
	mounted := t.TempDir()
	writeFile(t, mounted+"/file", "the pod's")
	config := containerConfig(ref)
	config.Mounts = []*criapi.Mount{bind(mounted, "/mounted")}
	native := runPod(t, d, podConfig(t, d, own), "").create(t, config).mounts(t)
	p := wasmPod(t, d, host)
	c := p.run(t, config)
	guest := c.mounts(t)
	for _, target := range []string{"/data", "/empty", "/none/at/all", "/linked"} {
		if guest[target] == "" || guest[target] == native[target] {
			t.Fatalf("%s is on %q, with runc on %q", target, guest[target], native[target])
		}
		got, want := describeTree(t, guest[target]), describeTree(t, native[target])
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\nand with runc\n%s", target, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	c.expectExec(t, 0, "of the image", "/cat.wasm", "/data/file")
	c.expectExec(t, 0, "private", "/cat.wasm", "/data/link")
	c.expectExec(t, 0, "the pod's", "/cat.wasm", "/mounted/file")
	c.expectExec(t, 7, "", "/data/exit.wasm", "7")
	for _, path := range []string{"/data/file", "/empty/new", "/none/at/all/new"} {
		c.expectExec(t, 0, "", "/write.wasm", path, "written")
		c.expectExec(t, 0, "written", "/cat.wasm", path)
	}
	// Volumes are the container's own.
	other := p.run(t, containerConfig(ref))
	other.expectExec(t, 0, "of the image", "/cat.wasm", "/data/file")
	c.stop(t, 0)
	other.stop(t, 0)
	c.remove(t)
	if _, err := os.Stat(guest["/data"]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its removal, the container's volume: %v", err)
	}
}

// imageVolume is an image as a volume.
func imageVolume(ref, containerPath, subPath string) *criapi.Mount {
	return &criapi.Mount{Image: &criapi.ImageSpec{Image: ref}, ContainerPath: containerPath, ImageSubPath: subPath, Readonly: true}
}

// An image as a volume, also one for wasi/wasm, whose modules are shared with containers.
func TestImageVolumes(t *testing.T) {
	d := shared(t)
	module, err := images.Compile(t.Context(), images.Wasm("exit"))
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []v1.Platform{images.Host(), images.WASI()} {
		t.Run(platform.OS, func(t *testing.T) {
			img, err := images.New(platform, v1.Config{Entrypoint: []string{"/exit.wasm"}}, map[string][]byte{
				"/exit.wasm": module, "/file": []byte("text"), "/sub/dir/file": []byte("text below"),
			})
			if err != nil {
				t.Fatal(err)
			}
			ref := "example.com/volume-" + platform.OS + ":latest"
			d.ImportImage(t, ref, img)
			p := wasmPod(t, d, host)
			c := p.run(t, tools(imageVolume(ref, "/image", ""), imageVolume(ref, "/below", "sub/dir")))
			checkImageVolume(t, c)
			checkNotCopied(t, d)
			// Beside its other users: a container of the image, and one that has it too.
			p.run(t, containerConfig(ref, "3")).expectExit(t, 3, "Error")
			config := tools(imageVolume(ref, "/app", ""))
			config.Command = []string{"/app/exit.wasm", "4"}
			p.run(t, config).expectExit(t, 4, "Error")
			c.expectExec(t, 0, "text", "/cat.wasm", "/image/file")
			c.stop(t, 0)
			p.remove(t)
			if mounts := d.Mounts(); slices.ContainsFunc(mounts, func(m string) bool { return strings.Contains(m, "image-volumes") }) {
				t.Errorf("mounts that stay: %q", mounts)
			}
		})
	}
}

func checkImageVolume(t *testing.T, c *container) {
	t.Helper()
	c.expectExec(t, 0, "text", "/cat.wasm", "/image/file")
	c.expectExec(t, 0, "text below", "/cat.wasm", "/image/sub/dir/file")
	c.expectExec(t, 0, "text below", "/cat.wasm", "/below/file")
	c.expectExec(t, 5, "", "/image/exit.wasm", "5")
	for _, path := range []string{"/image/file", "/image/new", "/image/sub/dir/new", "/image/exit.wasm", "/below/new"} {
		c.expectExec(t, 1, "Read-only file system", "/write.wasm", path, "text")
	}
}

// checkNotCopied: what is mounted on the host is the image's own tree, read-only.
func checkNotCopied(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	found := 0
	err := d.Client().SnapshotService(daemon.Snapshotter).Walk(namespaces.WithNamespace(t.Context(), daemon.CRINamespace), func(_ context.Context, i snapshots.Info) error {
		if strings.Contains(i.Name, "/image-volumes/") {
			found++
			if i.Kind != snapshots.KindView {
				t.Errorf("snapshot %s is %v", i.Name, i.Kind)
			}
			if err := os.WriteFile(i.Name+"/new", nil, 0o600); !errors.Is(err, unix.EROFS) {
				t.Errorf("writing to %s: %v", i.Name, err)
			}
		}
		return nil
	})
	if err != nil || found != 1 {
		t.Errorf("%d image volumes, %v", found, err)
	}
}

func TestImageVolumesThatAreRefused(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	ref := images.Wasm("exit").Ref
	writable := imageVolume(ref, "/image", "")
	writable.Readonly = false
	for name, tc := range map[string]struct {
		mount *criapi.Mount
		want  string
	}{
		"writable":                 {writable, "readonly must be true"},
		"no such image":            {imageVolume("example.com/none:latest", "/image", ""), "example.com/none:latest"},
		"a path that is not there": {imageVolume(ref, "/image", "none"), "none"},
		"a path out of it":         {imageVolume(ref, "/image", "../../.."), "escapes"},
		"a file":                   {imageVolume(ref, "/image", "exit.wasm"), "only directory subpath is supported"},
	} {
		t.Run(name, func(t *testing.T) { p.expectNotCreated(t, tools(tc.mount), tc.want) })
	}
}

// What a daemon had mounted for a pod is gone with the pod, also after its end.
func TestImageVolumeAfterARestart(t *testing.T) {
	d := daemon.Start(t, daemon.WithBridge())
	d.Import(t, images.Wasm("exit"), images.Wasm("sleep"))
	ref := images.Wasm("exit").Ref
	config := func() *criapi.ContainerConfig {
		config := containerConfig("sleep")
		config.Mounts = []*criapi.Mount{imageVolume(ref, "/image", "")}
		return config
	}
	first := wasmPod(t, d, host) // which makes what stays
	first.run(t, config())
	first.remove(t)
	before := d.Resources(t)
	p := wasmPod(t, d, host)
	p.run(t, config())
	d.Kill(t)
	d.Restart(t)
	again := wasmPod(t, d, host)
	c := config()
	c.Command = []string{"/image/exit.wasm", "6"}
	again.run(t, c).expectExit(t, 6, "Error")
	again.remove(t)
	p.remove(t)
	d.CheckLeaks(t, before)
}
