// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeTree makes a volume of kubelet's, of a ConfigMap, a Secret or projected tokens,
// or replaces what is in one at once (AtomicWriter in its pkg/volume/util):
//
//	..VERSION/KEY
//	..data -> ..VERSION, by a rename
//	KEY    -> ..data/KEY
//
// The files of the version before stay, which kubelet then removes: who has followed
// ..data already would find none.
func writeTree(t testing.TB, dir, version string, data map[string]string) {
	t.Helper()
	for key, text := range data {
		writeFile(t, filepath.Join(dir, ".."+version, key), text)
	}
	err := errors.Join(os.Symlink(".."+version, dir+"/..data_tmp"), os.Rename(dir+"/..data_tmp", dir+"/..data"))
	for key := range data {
		top, _, _ := strings.Cut(key, "/")
		if _, e := os.Lstat(filepath.Join(dir, top)); e != nil {
			err = errors.Join(err, os.Symlink("..data/"+top, filepath.Join(dir, top)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A guest that runs sees the new text of a ConfigMap, and none of a key that it has as a
// single file, as any container in Kubernetes.
func TestConfigMapUpdates(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir := t.TempDir()
	writeTree(t, dir, "2026_01_01", map[string]string{"key": "one", "below/key": "one below"})
	config := containerConfig("cat", "-w", "/config/key")
	config.Mounts = tools(readonly(bind(dir, "/config"))).GetMounts()
	watcher := p.run(t, config)
	c := p.run(t, tools(readonly(bind(dir, "/config")), readonly(bind(dir+"/..data/key", "/etc/single"))))
	watcher.waitForLog(t, "one\n")
	c.expectExec(t, 0, "one", "/cat.wasm", "/config/key")
	c.expectExec(t, 0, "one below", "/cat.wasm", "/config/below/key")

	writeTree(t, dir, "2026_01_02", map[string]string{"key": "two", "below/key": "two below", "new": "new"})
	watcher.waitForLog(t, "one\ntwo\n")
	if err := os.RemoveAll(dir + "/..2026_01_01"); err != nil {
		t.Fatal(err)
	}
	c.expectExec(t, 0, "two", "/cat.wasm", "/config/key")
	c.expectExec(t, 0, "two below", "/cat.wasm", "/config/below/key")
	c.expectExec(t, 0, "new", "/cat.wasm", "/config/new")
	c.expectExec(t, 0, "one", "/cat.wasm", "/etc/single")
	c.expectExec(t, 1, "Read-only file system", "/write.wasm", "/config/key", "text")
	c.expectExec(t, 1, "Read-only file system", "/write.wasm", "/config/..data/new", "text")
	c.stop(t, 0)
	watcher.stop(t, 0)
}

// No reader finds an update half made, or no file.
func TestConfigMapUpdatesAreAtomic(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir := t.TempDir()
	long := strings.Repeat("x", 3000)
	writeTree(t, dir, "0", map[string]string{"key": "begin" + long})
	config := containerConfig("cat", "-w", "/config/key")
	config.Mounts = tools(readonly(bind(dir, "/config"))).GetMounts()
	c := p.run(t, config)
	c.waitForLog(t, "begin")
	versions := []string{"begin" + long, "a" + long, "b" + long}
	for i := range 200 {
		writeTree(t, dir, fmt.Sprint(1+i), map[string]string{"key": versions[1+i%2]})
	}
	writeTree(t, dir, "end", map[string]string{"key": "end"})
	c.waitForLog(t, "\nend\n")
	if s := c.status(t); s.GetFinishedAt() != 0 {
		t.Errorf("the reader ended: %v", c.logs(t, "stderr"))
	}
	for line := range strings.Lines(strings.TrimSuffix(c.logs(t, "stdout"), "end\n")) {
		if text := strings.TrimSuffix(line, "\n"); text != versions[0] && text != versions[1] && text != versions[2] {
			t.Errorf("the guest read %q", text)
		}
	}
	c.stop(t, 0)
}

// A symbolic link in a volume leads to what the guest has at that place, if anywhere.
func TestLinksOutOfAVolume(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	dir := t.TempDir()
	volume := filepath.Join(dir, "volume")
	secret := writeFile(t, dir+"/secret", "outside, a secret")
	writeFile(t, volume+"/file", "inside")
	for name, to := range map[string]string{
		"absolute": secret,
		"up":       "../secret",
		"parent":   "..",
		"proc":     "/proc/self/root" + secret,
		"data":     "..data/secret",
		"..data":   "..",
		"top":      "../../../../../.." + secret,
		"inside":   "./../volume/file",
	} {
		if err := os.Symlink(to, filepath.Join(volume, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := p.run(t, tools(bind(volume, "/volume")))
	c.expectExec(t, 0, "inside", "/cat.wasm", "/volume/inside")
	for _, name := range []string{"absolute", "up", "parent/secret", "proc", "data", "..data/secret", "top", "../secret", "./../../" + secret} {
		r, err := c.execSync(60, "/cat.wasm", "/volume/"+name)
		if err != nil || r.GetExitCode() != 1 || len(r.GetStdout()) > 0 {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	// Neither does a link lead the daemon there, when it looks for a module.
	if _, err := c.execSync(60, "/volume/absolute"); err == nil || !strings.Contains(err.Error(), "no such file in the container") {
		t.Errorf("a module by a link that leads out: %v", err)
	}
	c.stop(t, 0)
}
