// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// A mount covers what was mounted before on its target or below it.
func TestFilesOnNestedMounts(t *testing.T) {
	volume := func(content string) string {
		t.Helper()
		dir := t.TempDir()
		for _, name := range []string{"app.wasm", "below/app.wasm", "below.wasm"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(wasm+content+" "+name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	root, a, b := volume("root"), volume("a"), volume("b")
	on := func(source, target string) jail.Mount { return jail.Mount{Source: source, Target: target} }
	for name, tc := range map[string]struct {
		mounts []jail.Mount
		path   string
		want   string
	}{
		"above":               {[]jail.Mount{on(a, "/below"), on(b, "/below/below")}, "/below/app.wasm", "a app.wasm"},
		"below":               {[]jail.Mount{on(a, "/below"), on(b, "/below/below")}, "/below/below/app.wasm", "b app.wasm"},
		"covered":             {[]jail.Mount{on(b, "/below/below"), on(a, "/below")}, "/below/below/app.wasm", "a below/app.wasm"},
		"twice":               {[]jail.Mount{on(a, "/below"), on(b, "/below")}, "/below/app.wasm", "b app.wasm"},
		"a name that is more": {[]jail.Mount{on(a, "/below")}, "/below.wasm", "root below.wasm"},
		"a file":              {[]jail.Mount{on(a, "/below"), on(b+"/app.wasm", "/below/app.wasm")}, "/below/app.wasm", "b app.wasm"},
		"a tmpfs":             {[]jail.Mount{on(a, "/below"), on("", "/below")}, "/below/app.wasm", ""},
		"on a tmpfs":          {[]jail.Mount{on("", "/below"), on(a, "/below/below")}, "/below/below/app.wasm", "a app.wasm"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := openInGuest(&jail.Spec{Rootfs: root, Mounts: tc.mounts}, tc.path)
			if tc.want == "" {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if b, err := io.ReadAll(f); err != nil || string(b) != wasm+tc.want {
				t.Errorf("read %q, %v, want %q", b, err, tc.want)
			}
		})
	}
}
