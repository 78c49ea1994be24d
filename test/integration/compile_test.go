// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

const notOptimized = "[plugins.'io.containerd.wasm.v1.engine']\noptimize = \"off\"\nidle_time = \"0s\""

// compiled lists the compiled code that a namespace has.
func compiled(t *testing.T, d *daemon.Daemon, namespace string) (all []content.Info) {
	t.Helper()
	ctx := namespaces.WithNamespace(context.WithoutCancel(t.Context()), namespace)
	err := d.Client().ContentStore().Walk(ctx, func(info content.Info) error {
		all = append(all, info)
		return nil
	}, `labels."containerd.io/wasm.key"`)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// awaitTier waits until a namespace has one piece of compiled code, of the given
// tier.
func awaitTier(t *testing.T, d *daemon.Daemon, namespace, tier string) (info content.Info) {
	t.Helper()
	daemon.Eventually(t, tier+" code in "+namespace, func() error {
		d.LendToCompilers()
		all := compiled(t, d, namespace)
		if len(all) != 1 || all[0].Labels["containerd.io/wasm.tier"] != tier {
			return fmt.Errorf("there is %v", all)
		}
		info = all[0]
		return nil
	})
	return info
}

// codeFiles are the files of compiled code below the daemon's root.
func codeFiles(t *testing.T, d *daemon.Daemon) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(d.Root, "io.containerd.content.v1.content"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // it may go at any time
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		head := make([]byte, 7)
		if _, err := f.Read(head); err == nil && string(head) == "wasmart" {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// A module is compiled when its image is unpacked, optimized later, and its code
// goes with the last image, in whichever namespace.
func TestCompiledCodeLivesWithItsImage(t *testing.T) {
	d := daemon.Start(t, daemon.WithTOML("[plugins.'io.containerd.wasm.v1.engine']\nidle_time = \"0s\"\noptimize = \"2\""))
	spec := images.Wasm("exit")
	compilations := d.WatchCompilations(t)
	d.Import(t, spec)
	for _, namespace := range []string{d.Name, daemon.CRINamespace} {
		awaitTier(t, d, namespace, "O2")
	}
	if out := d.Ctr(t, "content", "ls"); strings.Count(out.Stdout, "containerd.io/wasm.tier=O2") != 1 {
		t.Errorf("ctr content ls: %s", out.Stdout)
	}
	expect(t, d.Ctr(t, append(d.RunArgs(), spec.Ref, newID())...), 0, "")
	if n := compilations.Waits(); n != 0 {
		t.Errorf("%d starts waited for the compiler", n)
	}
	daemon.Eventually(t, "the code of the first tier to go", func() error {
		if paths := codeFiles(t, d); len(paths) != 1 {
			return fmt.Errorf("there is %q", paths)
		}
		return nil
	})
	// One image goes; the other still needs the code.
	remove := func(namespace string) {
		t.Helper()
		if out := d.Ctr(t, "--namespace", namespace, "images", "rm", "--sync", spec.Ref); out.Code != 0 {
			t.Fatalf("removing the image: %s", out.Stderr)
		}
	}
	remove(d.Name)
	daemon.Eventually(t, "the code of a removed image to go", func() error {
		if all := compiled(t, d, d.Name); len(all) != 0 {
			return fmt.Errorf("there is %v", all)
		}
		return nil
	})
	awaitTier(t, d, daemon.CRINamespace, "O2")
	ctx := namespaces.WithNamespace(t.Context(), daemon.CRINamespace)
	all, err := d.Client().ImageService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range all {
		if out := d.Ctr(t, "--namespace", daemon.CRINamespace, "images", "rm", "--sync", image.Name); out.Code != 0 {
			t.Fatalf("removing image %s: %s", image.Name, out.Stderr)
		}
	}
	daemon.Eventually(t, "the code to go with the last image", func() error {
		if paths := codeFiles(t, d); len(paths) != 0 {
			return fmt.Errorf("there is %q", paths)
		}
		return nil
	})
}

// However many containers of a new image start at once, it is compiled once.
func TestManyStartsCompileOnce(t *testing.T) {
	const starts = 50
	d := daemon.Start(t, daemon.WithTOML(notOptimized))
	spec := images.Wasm("hello-go")
	compilations := d.WatchCompilations(t)
	d.Import(t, spec)
	var wg sync.WaitGroup
	for range starts {
		wg.Go(func() {
			c, err := d.NewContainer(t.Context(), daemon.Job{Image: spec.Ref})
			if err != nil {
				t.Error(err)
				return
			}
			if err = c.CreateTask(); err == nil {
				err = c.Task.Start(c.Ctx)
			}
			var code int
			if err == nil {
				code, err = c.Wait()
			}
			if err = errors.Join(err, c.Remove()); err != nil || code != 0 {
				t.Errorf("exit code %d, %v", code, err)
			}
		})
	}
	wg.Wait()
	if n := len(codeFiles(t, d)); n != 1 {
		t.Errorf("%d pieces of compiled code, want 1", n)
	}
	for _, namespace := range []string{d.Name, daemon.CRINamespace} {
		awaitTier(t, d, namespace, "O0")
	}
	if n := compilations.Count(); n != 1 {
		t.Errorf("%d compilations, want 1", n)
	}
	if n := compilations.Waits(); n == 0 || n > starts {
		t.Errorf("%d of %d starts say that they wait for the compiler", n, starts)
	}
}

// Code of another engine or CPU is not loaded, and leaves nothing behind.
func TestCodeOfAnotherBuild(t *testing.T) {
	d := daemon.Start(t, daemon.WithTOML(notOptimized))
	spec := images.Wasm("exit")
	d.Import(t, spec)
	before := awaitTier(t, d, d.Name, "O0")
	for _, namespace := range []string{d.Name, daemon.CRINamespace} {
		ctx := namespaces.WithNamespace(t.Context(), namespace)
		awaitTier(t, d, namespace, "O0")
		changed := content.Info{Digest: before.Digest, Labels: map[string]string{"containerd.io/wasm.build": "another"}}
		if _, err := d.Client().ContentStore().Update(ctx, changed, "labels.containerd.io/wasm.build"); err != nil {
			t.Fatal(err)
		}
	}
	old := filepath.Join(d.Root, "io.containerd.wasm.v1.engine", strings.Repeat("0", 64)) // as it once was
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Kill(t)
	d.Restart(t)
	expect(t, d.Ctr(t, append(d.RunArgs(), spec.Ref, newID())...), 0, "")
	for _, namespace := range []string{d.Name, daemon.CRINamespace} {
		if after := awaitTier(t, d, namespace, "O0"); after.Digest == before.Digest || after.Labels["containerd.io/wasm.build"] == "another" {
			t.Errorf("the code was kept: %v", after)
		}
	}
	daemon.Eventually(t, "the old code to go", func() error {
		if paths := codeFiles(t, d); len(paths) != 1 || strings.HasSuffix(paths[0], before.Digest.Encoded()) {
			return fmt.Errorf("there is %q", paths)
		}
		return nil
	})
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of an older version: %v", err)
	}
}

// What cannot be stored is an error that says so, and no half of it stays.
func TestDiskFullWhileCodeIsWritten(t *testing.T) {
	d := daemon.Start(t, daemon.WithTmpfs(), daemon.WithTOML(notOptimized))
	spec := images.Wasm("hello-go")
	resize := func(format string, args ...any) {
		t.Helper()
		if err := unix.Mount("", filepath.Dir(d.Root), "", unix.MS_REMOUNT, fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	img, err := images.Image(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := images.Archive(archive, spec.Ref, img); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(d.Root, &st); err != nil {
		t.Fatal(err)
	}
	// The image takes 4 MiB, its code 9.
	resize("size=%d", int64(st.Blocks-st.Bfree)*st.Bsize+8<<20)
	if err := d.Load(namespaces.WithNamespace(t.Context(), d.Name), archive, spec.Ref); err != nil {
		t.Fatal(err)
	}
	out := d.Ctr(t, append(d.RunArgs(), spec.Ref, "full")...)
	if out.Code == 0 || !strings.Contains(out.Stderr, `module "hello.wasm" was compiled, and cannot be stored: `) || !strings.Contains(out.Stderr, "no space left on device") {
		t.Errorf("with a full disk: %+v", out)
	}
	if paths := codeFiles(t, d); len(paths) != 0 {
		t.Errorf("there is %q", paths)
	}
	resize("size=1g")
	out = d.Ctr(t, append(d.RunArgs(), spec.Ref, "again")...)
	if out.Code != 0 || !bytes.HasPrefix([]byte(out.Stdout), []byte("hello from Go")) {
		t.Errorf("with room on the disk: %+v", out)
	}
}
