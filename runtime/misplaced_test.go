// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// layer makes a directory with files; a content of "-" is a FIFO, which is as little a
// regular file as a whiteout is, and needs no rights to make.
func layer(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, isLink := strings.CutPrefix(content, "-> "); {
		case content == "-":
			err = unix.Mkfifo(file, 0o600)
		case isLink:
			err = os.Symlink(target, file)
		default:
			err = os.WriteFile(file, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestStartsModule(t *testing.T) {
	const module, elf = "\x00asm\x01\x00\x00\x00", "\x7fELF"
	outside := layer(t, map[string]string{"app": module})
	top := layer(t, map[string]string{
		"app": module, "replaced": elf, "removed": "-", "native.wasm": module, "link": "-> /app",
		"outside": "-> ../../../../../.." + outside + "/app", "usr/bin/tool": module, "dir/x": "x", "loop": "-> loop",
		"volume": module, "volumes": module, "mnt/deep/app": module, "covered": module, "named": module, "named#run": elf,
	})
	below := layer(t, map[string]string{
		"replaced": module, "removed": module, "native": elf, "low": module, "bin/tool": elf, "only/below": module, "empty": "", "crossing": "-> /app",
	})
	root := []mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{"index=off", "workdir=/w", "lowerdir=" + below + ":/does/not/exist", "upperdir=" + top}}}
	for _, tc := range []struct {
		arg  string
		want bool
	}{
		{"/app", true},
		{"app", true}, // in PATH
		{"./app", true},
		{"../app", true},
		{"/low", true},
		{"/only/below", true},
		{"/link", true},
		{"/native.wasm", true},
		{"tool", true}, // /usr/bin comes first
		{"/bin/tool", false},
		{"/native", false}, // the module beside is another file
		{"/replaced", false},
		{"/removed", false},
		{"/outside", false},
		{"/crossing", false}, // a symlink between layers is not followed
		{"/loop", false},
		{"/empty", false},
		{"/dir", false},
		{"/app#run", true},
		{"app#run", true},
		{"/native#run", false},
		{"/named#run", false}, // that is the file's name
		{"#", false},
		{"usr", false}, // a directory
		{"/none", false},
		{"none", false},
		{"/volume", false}, // whatever is there
		{"/volumes", true},
		{"/mnt/deep/app", false},
		{"covered", false}, // before the one in / comes a volume
		{"", false},
		{"/" + strings.Repeat("x", 1<<20), false},
		{"/app\x00", false},
	} {
		p := &specs.Process{Args: []string{tc.arg}, Cwd: "/cwd", Env: []string{"PATH=/usr/bin:/bin::/"}}
		if tc.arg == "./app" {
			p.Cwd = "/"
		}
		spec := &specs.Spec{Process: p, Mounts: []specs.Mount{{Destination: "/volume"}, {Destination: "/mnt/"}, {Destination: "/bin/covered"}}}
		if got := startsModule(t.Context(), root, spec); got != tc.want {
			t.Errorf("%.100q: %t, want %t", tc.arg, got, tc.want)
		}
	}
}

func TestLayers(t *testing.T) {
	for _, tc := range []struct {
		desc   string
		mounts []mount.Mount
		want   []string
	}{
		{"nothing", nil, nil},
		{"a directory", []mount.Mount{{Type: "bind", Source: "/a", Options: []string{"rbind"}}}, []string{"/a"}},
		{"an overlay", []mount.Mount{{Type: "overlay", Options: []string{"workdir=/w", "upperdir=/u", "lowerdir=/b:/a"}}}, []string{"/u", "/b", "/a"}},
		{"without an upper one", []mount.Mount{{Type: "overlay", Options: []string{"lowerdir=/b:/a"}}}, []string{"/b", "/a"}},
		{"a block device", []mount.Mount{{Type: "ext4", Source: "/dev/x"}}, nil},
		{"two", []mount.Mount{{Type: "bind", Source: "/a"}, {Type: "bind", Source: "/b"}}, nil},
	} {
		if got := layersOf(tc.mounts); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.desc, got, tc.want)
		}
	}
}
