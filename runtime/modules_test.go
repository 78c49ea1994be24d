// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// tree makes files, by their paths in a new directory. A content "-> TARGET" is a
// symlink.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestDirectoriesAsEntrypoints(t *testing.T) {
	volume := tree(t, map[string]string{"volume.wasm": wasm, "sub/text": "text"})
	for desc, tc := range map[string]struct {
		files     map[string]string
		name      string
		want, err string
	}{
		"one module":               {map[string]string{"app.wasm": wasm, "etc/text": "text"}, "/", "/app.wasm", ""},
		"deep":                     {map[string]string{"a/b/c/d/app": wasm, "b/text": "text"}, "/", "/a/b/c/d/app", ""},
		"of a directory":           {map[string]string{"a/app.wasm": wasm, "b/app.wasm": wasm}, "/b", "/b/app.wasm", ""},
		"relative":                 {map[string]string{"work/app.wasm": wasm, "b/app.wasm": wasm}, ".", "/work/app.wasm", ""},
		"relative path":            {map[string]string{"work/b/app.wasm": wasm, "b/app.wasm": wasm}, "./b", "/work/b/app.wasm", ""},
		"a name is no directory":   {map[string]string{"work/tool/x": wasm, "usr/bin/tool.wasm": wasm}, "tool", "/usr/bin/tool.wasm", ""},
		"only a directory":         {map[string]string{"work/tool/x": wasm}, "tool", "", `entrypoint "tool": no such file in the container; modules in it: /work/tool/x`},
		"a file comes first":       {map[string]string{"app/x.wasm": wasm, "app.wasm": wasm}, "/app", "/app.wasm", ""},
		"link to a directory":      {map[string]string{"v1/app.wasm": wasm, "now": "-> /v1"}, "/now", "/now/app.wasm", ""},
		"links are not counted":    {map[string]string{"app.wasm": wasm, "link.wasm": "-> app.wasm", "d": "-> /"}, "/", "/app.wasm", ""},
		"loop":                     {map[string]string{"a/b/up": "-> ../..", "a/self": "-> .", "a/app.wasm": wasm}, "/", "/a/app.wasm", ""},
		"link out of it":           {map[string]string{"out": "-> " + volume}, "/", "", `entrypoint "/": this directory has no WebAssembly module`},
		"in a volume":              {map[string]string{"app.wasm": wasm}, "/vol", "/vol/volume.wasm", ""},
		"volumes are not searched": {map[string]string{"app.wasm": wasm, "vol/covered.wasm": wasm}, "/", "/app.wasm", ""},
		"what a mount covers":      {map[string]string{"app.wasm": wasm, "file.wasm": wasm}, "/", "/app.wasm", ""},
		"below a volume":           {map[string]string{"app.wasm": wasm}, "/vol/sub", "", `entrypoint "/vol/sub": this directory has no WebAssembly module`},
		"nothing":                  {nil, "/", "", `entrypoint "/": this directory has no WebAssembly module`},
		"several":                  {map[string]string{"b.wasm": wasm, "a/a.wasm": wasm}, "/", "", "this directory has several WebAssembly modules, name one as the command: /a/a.wasm, /b.wasm"},
		"many": {map[string]string{"1": wasm, "2": wasm, "3": wasm, "4": wasm, "5": wasm, "6": wasm, "7": wasm}, "/", "",
			"name one as the command: /1, /2, /3, /4, /5, and 2 more"},
		"names that are made to garble": {map[string]string{"a\n\x1b": wasm, "b\xff": wasm}, "/", "", `name one as the command: "/a\n\x1b", "/b\xff"`},
	} {
		js := &jail.Spec{Rootfs: tree(t, tc.files), Mounts: []jail.Mount{
			{Source: volume, Target: "/vol"}, {Source: volume + "/volume.wasm", Target: "/file.wasm"}, {Target: "/vol/tmpfs"},
		}}
		p := command(tc.name)
		p.Args = append(p.Args, "more")
		e, err := openEntrypoint(js, p)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, want %q", desc, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", desc, err)
			continue
		}
		if e.file.Name() != tc.want {
			t.Errorf("%s: opened %q, want %q", desc, e.file.Name(), tc.want)
		}
		if argument := []string{tc.name, tc.want}; !strings.Contains(fmt.Sprint(argument), e.args[0]) || e.args[1] != "more" {
			t.Errorf("%s: arguments %q", desc, e.args)
		}
		expectContent(t, e, desc, "")
	}
}

// The guest is told which module it is, where its client did not.
func TestArgumentOfADirectorysModule(t *testing.T) {
	js := &jail.Spec{Rootfs: tree(t, map[string]string{"bin/app.wasm": wasm})}
	for name, want := range map[string]string{"/": "/bin/app.wasm", "/#run": "/bin/app.wasm#run", "/bin/": "/bin/app.wasm", "/bin/app": "/bin/app"} {
		e, err := openEntrypoint(js, command(name))
		if err != nil {
			t.Fatal(err)
		}
		e.file.Close()
		if len(e.args) != 1 || e.args[0] != want {
			t.Errorf("%s: arguments %q, want %q", name, e.args, want)
		}
	}
}

func TestSearchIsBounded(t *testing.T) {
	root := t.TempDir()
	js := &jail.Spec{Rootfs: root}
	for i := range maxVisited + 1 {
		if err := unix.Mknod(fmt.Sprintf("%s/%d", root, i), unix.S_IFREG|0o644, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openEntrypoint(js, command("/")); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "this directory has more than 10000 files") {
		t.Errorf("got %v", err)
	}
	if _, err := openEntrypoint(js, command("/app")); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "; no WebAssembly module is among the 10001 files that were looked at: not found") {
		t.Errorf("got %v", err)
	}
	// Deeper than a path can be.
	root = t.TempDir()
	dir := root
	for range 18 {
		dir += "/" + strings.Repeat("d", 200)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	deep, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer deep.Close()
	for range 4 {
		if err := unix.Mkdirat(int(deep.Fd()), strings.Repeat("e", 200), 0o755); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Openat(int(deep.Fd()), strings.Repeat("e", 200), unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		deep.Close()
		deep = os.NewFile(uintptr(fd), "deep")
	}
	if _, err := openEntrypoint(&jail.Spec{Rootfs: root}, command("/")); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "or some that cannot be read") {
		t.Errorf("got %v", err)
	}
}

// A search opens no device and no FIFO, and does not leave the file system that it
// began in.
func TestSearchLooksAtNothingElse(t *testing.T) {
	testutil.RequiresRoot(t)
	root := tree(t, map[string]string{"app.wasm": wasm, "mounted/covered": wasm})
	for name, mode := range map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "device": unix.S_IFCHR} {
		if err := unix.Mknod(filepath.Join(root, name), mode|0o644, 0); err != nil {
			t.Fatal(err)
		}
	}
	mounted := filepath.Join(root, "mounted")
	if err := unix.Mount(tree(t, map[string]string{"other.wasm": wasm}), mounted, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(mounted, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	e, err := openEntrypoint(&jail.Spec{Rootfs: root}, command("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.file.Close()
	if e.file.Name() != "/app.wasm" {
		t.Errorf("opened %q", e.file.Name())
	}
}
