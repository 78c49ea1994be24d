// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// writes describes a container that writes just that, and ends.
func writes(t testing.TB, text []byte) *criapi.ContainerConfig {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	config := containerConfig("cat", "/data/text")
	config.Mounts = []*criapi.Mount{{HostPath: dir, ContainerPath: "/data", Readonly: true}}
	return config
}

// lineLimit is upstream's (max_container_log_line_size).
const lineLimit = 16 << 10

func TestLogFormat(t *testing.T) {
	x := strings.Repeat("x", lineLimit)
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	p := wasmPod(t, shared(t), host)
	for name, tc := range map[string]struct {
		text string
		want []entry
	}{
		"nothing":           {"", nil},
		"lines":             {"one\ntwo three\n", []entry{{"stdout", "F", "one"}, {"stdout", "F", "two three"}}},
		"empty lines":       {"\n\n", []entry{{"stdout", "F", ""}, {"stdout", "F", ""}}},
		"no newline at end": {"one\ntwo", []entry{{"stdout", "F", "one"}, {"stdout", "P", "two"}}},
		"longest line":      {x + "\n", []entry{{"stdout", "F", x}}},
		"longer lines": {x + x + "more\n" + x + "more\n", []entry{
			{"stdout", "P", x}, {"stdout", "P", x}, {"stdout", "F", "more"}, {"stdout", "P", x}, {"stdout", "F", "more"},
		}},
		"long, no newline": {x + "more", []entry{{"stdout", "P", x}, {"stdout", "P", "more"}}},
		"bytes":            {string(binary), []entry{{"stdout", "F", string(binary[:'\n'])}, {"stdout", "P", string(binary['\n'+1:])}}},
		"not UTF-8":        {"\xff\xfe\x80\n", []entry{{"stdout", "F", "\xff\xfe\x80"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := p.run(t, writes(t, []byte(tc.text)))
			c.expectExit(t, 0, "Completed")
			c.waitForTheLog(t)
			if got := entries(t, readFile(t, c.log)); !slices.Equal(got, tc.want) {
				t.Errorf("got %.200q, want %.200q", got, tc.want)
			}
		})
	}
	c := p.run(t, containerConfig("cat", "/none"))
	c.expectExit(t, 1, "Error")
	c.waitForTheLog(t)
	want := []entry{{"stderr", "F", "/none: No such file or directory"}}
	if got := entries(t, readFile(t, c.log)); !slices.Equal(got, want) {
		t.Errorf("errors: got %q, want %q", got, want)
	}
}

// What a guest wrote is in its log, however soon after that it ends.
func TestNothingIsLostAtExit(t *testing.T) {
	const guests = 100
	p := wasmPod(t, shared(t), host)
	large := numbers(1 << 20)
	first := p.run(t, writes(t, []byte(large)))
	var all []*container
	for range guests {
		all = append(all, p.create(t, containerConfig("hello-c")))
	}
	for _, c := range all {
		if err := c.start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range all {
		c.expectExit(t, 0, "Completed")
		if got := c.wholeLog(t, "stdout"); got != "hello from C\n" {
			t.Errorf("%s has %q", c.log, got)
		}
	}
	first.expectExit(t, 0, "Completed")
	if got := first.wholeLog(t, "stdout"); got != large {
		t.Errorf("the log has %d of %d bytes", len(got), len(large))
	}
	// The end of one that is killed, or traps, is there as well.
	c := p.run(t, containerConfig(countImage))
	c.waitForLog(t, "10000\n")
	c.stop(t, 0)
	expectNumbers(t, c.wholeLog(t, "stdout"))
	c = p.run(t, containerConfig("trap"))
	c.expectExit(t, 134, "Error")
	if got := c.wholeLog(t, "stderr"); !strings.HasSuffix(got, "\n") || !strings.Contains(got, "WebAssembly trap: unreachable\n") {
		t.Errorf("after a trap: %q", got)
	}
}

// What a client is given of an exec is whole, too.
func TestNothingIsLostAtTheExitOfAnExec(t *testing.T) {
	text := numbers(100_000)
	config := writes(t, []byte(text))
	config.Image.Image, config.Args = toolsImage, nil
	c := wasmPod(t, shared(t), host).run(t, config)
	for range 20 {
		r, err := c.execSync(60, "/cat.wasm", "/data/text")
		if err != nil || r.GetExitCode() != 0 || string(r.GetStdout()) != text {
			t.Fatalf("code %d, %d of %d bytes (%v)", r.GetExitCode(), len(r.GetStdout()), len(text), err)
		}
	}
}

// numbers are those from 1 to n, each on a line, as countImage writes them.
func numbers(n int) string {
	var b bytes.Buffer
	for i := 1; i <= n; i++ {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// expectNumbers: a log has all numbers from 1 on, and the last one may be cut off.
func expectNumbers(t *testing.T, log string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(log) {
		n++
		if want := fmt.Sprintln(n); line != want && (!strings.HasPrefix(want, line) || strings.HasSuffix(line, "\n")) {
			t.Fatalf("line %d is %q", n, line)
		}
	}
	t.Logf("%d lines", n)
}

// As kubelet rotates: it renames the log, and tells CRI. No line is lost or torn apart,
// though the guest writes all the time.
func TestLogRotation(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(countImage))
	var rotated []string
	for i := range 20 {
		daemon.Eventually(t, "a log", func() error {
			if info, err := os.Stat(c.log); err != nil || info.Size() == 0 {
				return fmt.Errorf("nothing is in it (%w)", err)
			}
			return nil
		})
		old := fmt.Sprintf("%s.%d", c.log, i)
		if err := os.Rename(c.log, old); err != nil {
			t.Fatal(err)
		}
		rotated = append(rotated, old)
		if err := c.reopenLog(); err != nil {
			t.Fatal(err)
		}
	}
	c.stop(t, 0)
	var all []entry
	for _, path := range append(rotated, c.log) {
		c.waitUntilClosed(t, path)
		all = append(all, entries(t, readFile(t, path))...)
	}
	expectNumbers(t, streamOf(all, "stdout"))
	if err := c.reopenLog(); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("reopening the log of a container that has ended: %v", err)
	}
}

// Who asks for no log has none, and no guest waits for its reader.
func TestContainerWithoutALog(t *testing.T) {
	config := writes(t, []byte(numbers(100_000)))
	config.LogPath = ""
	c := wasmPod(t, shared(t), host).run(t, config)
	c.expectExit(t, 0, "Completed")
	if got := c.status(t).GetLogPath(); got != "" {
		t.Errorf("it has the log %q", got)
	}
}

func (c *container) reopenLog() error {
	_, err := c.d.CRI().ReopenContainerLog(c.ctx, &criapi.ReopenContainerLogRequest{ContainerId: c.id})
	return err
}

// A disk that is full loses the log, but holds up nobody.
func TestLogOnAFullDisk(t *testing.T) {
	d := shared(t)
	config := podConfig(t, d, host)
	if err := unix.Mount("tmpfs", config.LogDirectory, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(config.LogDirectory, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p := runPod(t, d, config, daemon.Handler)
	c := p.run(t, writes(t, []byte(numbers(100_000))))
	c.expectExit(t, 0, "Completed")
	c.waitForTheLog(t)
	lines := strings.SplitAfterN(readFile(t, c.log), "\n", 4)
	if got := streamOf(entries(t, strings.Join(lines[:3], "")), "stdout"); got != "1\n2\n3\n" {
		t.Errorf("the log begins with %q", got)
	}
	runPodToTheEnd(t, d, podConfig(t, d, host), 3)
}
