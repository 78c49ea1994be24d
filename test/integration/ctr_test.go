// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func countLines(s string) int { return strings.Count(s, "\n") }

func TestCtrRun(t *testing.T) {
	for name, tc := range map[string]struct {
		image  string
		flags  []string
		args   []string
		input  string
		code   int
		stdout string
	}{
		"success":          {image: "exit", args: []string{"/exit.wasm", "0"}},
		"failure":          {image: "exit", args: []string{"/exit.wasm", "1"}, code: 1},
		"exit code":        {image: "exit", args: []string{"/exit.wasm", "42"}, code: 42},
		"trap":             {image: "trap", code: 134},
		"endless call":     {image: "recurse", code: 134},
		"input":            {image: "echo", input: "from\nstdin\n", stdout: "from\nstdin\n"},
		"much input":       {image: "echo", input: strings.Repeat("0123456789abcdef", 1<<15), stdout: strings.Repeat("0123456789abcdef", 1<<15)},
		"relative command": {image: "exit", args: []string{"exit.wasm", "3"}, code: 3},
		"only module":      {image: "exit", args: []string{"/", "7"}, code: 7},
		"function":         {image: "exit", args: []string{"/exit.wasm#_start", "8"}, code: 8},
		"cwd":              {image: "exit", flags: []string{"--cwd", "/tmp"}, args: []string{"../exit.wasm", "4"}, code: 4},
		"host network":     {image: "exit", flags: []string{"--net-host"}, args: []string{"/exit.wasm", "5"}, code: 5},
		"null io":          {image: "exit", flags: []string{"--null-io"}, args: []string{"/exit.wasm", "6"}, code: 6},
		"read-only root":   {image: "write", flags: []string{"--read-only"}, args: []string{"/write.wasm", "/new", "x"}, code: 1},
		"writable root":    {image: "write", args: []string{"/write.wasm", "/new", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			args := append(d.RunArgs(tc.flags...), images.Wasm(tc.image).Ref, newID())
			expect(t, d.CtrWithInput(t, tc.input, append(args, tc.args...)...), tc.code, tc.stdout)
		})
	}
}

func TestArgumentsAndEnvironment(t *testing.T) {
	d := shared(t)
	args := append(d.RunArgs("--env", "A=1", "--env", "B=x y", "--cwd", "/some/where"), images.Wasm("env").Ref, newID(), "/env.wasm", "one", "two words", "")
	out := d.Ctr(t, args...)
	lines := strings.Split(strings.TrimSuffix(out.Stdout, "\n"), "\n")
	for _, want := range []string{"arg /env.wasm", "arg one", "arg two words", "arg ", "env A=1", "env B=x y", "env PWD=/some/where"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q among %q", want, lines)
		}
	}
	if out.Code != 0 {
		t.Errorf("code %d: %s", out.Code, out.Stderr)
	}
}

// Files show who wrote them.
func TestUser(t *testing.T) {
	d := shared(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	args := append(d.RunArgs("--user", "1234:5678", "--mount", bind(dir, "/data", "rw")), images.Wasm("write").Ref, newID(), "/write.wasm")
	expect(t, d.Ctr(t, append(args, "/data/file", "text")...), 0, "")
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "file"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != 1234 || st.Gid != 5678 {
		t.Errorf("the file belongs to %d:%d", st.Uid, st.Gid)
	}
	// A user without rights on the directory has none as a guest.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	expect(t, d.Ctr(t, append(args, "/data/other", "text")...), 1, "")
}

func bind(source, target, mode string) string {
	return fmt.Sprintf("type=bind,src=%s,dst=%s,options=rbind:%s", source, target, mode)
}

func TestMounts(t *testing.T) {
	for name, tc := range map[string]struct {
		mode string
		file bool // mount one file, not the directory
		args []string
		code int
		out  string
		left string // content of the file afterwards
	}{
		"read read-only":  {mode: "ro", args: []string{"cat", "/data/file"}, out: "old", left: "old"},
		"write read-only": {mode: "ro", args: []string{"write", "/data/file", "new"}, code: 1, left: "old"},
		// Its name is in a path, where a comma would end the mount.
		"write below read-only":     {mode: "ro", args: []string{"write", "/data/sub/file", "new"}, code: 1, left: "old"},
		"read writable":             {mode: "rw", args: []string{"cat", "/data/file"}, out: "old", left: "old"},
		"write writable":            {mode: "rw", args: []string{"write", "/data/file", "new"}, left: "new"},
		"read without access times": {mode: "ro:noatime", args: []string{"cat", "/data/file"}, out: "old", left: "old"},
		"read a file":               {mode: "ro", file: true, args: []string{"cat", "/etc/one"}, out: "old", left: "old"},
		"write a file":              {mode: "rw", file: true, args: []string{"write", "/etc/one", "new"}, left: "new"},
		"write a read-only file":    {mode: "ro", file: true, args: []string{"write", "/etc/one", "new"}, code: 1, left: "old"},
		"lead out of the directory": {mode: "ro", args: []string{"cat", "/data/../../../etc/hostname"}, code: 1, left: "old"},
		"follow a symlink out":      {mode: "ro", args: []string{"cat", "/data/link"}, code: 1, left: "old"},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "file")
			for _, err := range []error{
				os.WriteFile(file, []byte("old"), 0o600),
				os.Mkdir(filepath.Join(dir, "sub"), 0o700),
				os.Symlink("/etc/hostname", filepath.Join(dir, "link")),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			mount := bind(dir, "/data", tc.mode)
			if tc.file {
				mount = bind(file, "/etc/one", tc.mode)
			}
			args := append(d.RunArgs("--mount", mount), images.Wasm(tc.args[0]).Ref, newID(), "/"+tc.args[0]+".wasm")
			expect(t, d.Ctr(t, append(args, tc.args[1:]...)...), tc.code, tc.out)
			if left, err := os.ReadFile(file); err != nil || string(left) != tc.left {
				t.Errorf("the file has %q (%v), want %q", left, err, tc.left)
			}
			if _, err := os.Stat(filepath.Join(dir, "sub/file")); err == nil {
				t.Error("the guest made a file through a read-only mount")
			}
		})
	}
}

// A container on overlayfs needs its mount for the moment of its creation only.
func TestOtherSnapshotter(t *testing.T) {
	d := shared(t)
	args := append(d.RunArgs("--snapshotter", "overlayfs"), images.Wasm("cat").Ref, newID(), "/cat.wasm", "/cat.wasm")
	if out := d.Ctr(t, args...); out.Code != 0 || !strings.HasPrefix(out.Stdout, "\x00asm") {
		t.Errorf("code %d, stderr %q", out.Code, out.Stderr)
	}
	before := d.Mounts()
	args = append(d.RunArgs("--detach", "--null-io", "--snapshotter", "overlayfs"), images.Wasm("sleep").Ref, "s")
	args = slices.DeleteFunc(args, func(a string) bool { return a == "--rm" }) // not with --detach
	if out := d.Ctr(t, args...); out.Code != 0 {
		t.Fatal(out.Stderr)
	}
	defer func() {
		d.Ctr(t, "tasks", "rm", "--force", "s")
		d.Ctr(t, "containers", "rm", "s")
	}()
	if after := d.Mounts(); !slices.Equal(before, after) {
		t.Errorf("mounts of a guest that runs: %q, before: %q", after, before)
	}
}

func TestRootfsDirectory(t *testing.T) {
	d := shared(t)
	module, err := images.Compile(t.Context(), images.Wasm("write"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.wasm"), module, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(d.RunArgs("--rootfs"), dir, newID(), "/app.wasm", "/out", "text")
	expect(t, d.Ctr(t, args...), 0, "")
	if b, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(b) != "text" {
		t.Errorf("the guest wrote %q (%v)", b, err)
	}
}

// Containers of other runtimes are none of our business.
func TestRuncBeside(t *testing.T) {
	d := shared(t)
	guest := start(t, d, job{image: "sleep"})
	guest.waitForOutput(t, "sleeping")
	expect(t, d.Ctr(t, "run", "--rm", images.Native("hello").Ref, "native"), 0, "hello from a native process\n")
	if status, err := guest.Task.Status(guest.Ctx); err != nil || status.Status != "running" {
		t.Errorf("the guest is %v (%v)", status.Status, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	d := shared(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			args := append(d.RunArgs(), images.Wasm("exit").Ref, fmt.Sprintf("many%d", i), "/exit.wasm", fmt.Sprint(i))
			expect(t, d.Ctr(t, args...), i, "")
		})
	}
	wg.Wait()
}
