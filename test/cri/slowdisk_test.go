// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// newDisk mounts a file system of its own.
func newDisk(t *testing.T) (dir string) {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 256<<20); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting %s: %v: %s", dir, err, out)
		}
	})
	return dir
}

// freeze has all that writes to a file system wait, in the kernel, until thaw is called
// or the test ends, even if it is killed: then the script's input ends.
func freeze(t *testing.T, dir string) (thaw func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `fsfreeze --freeze "$0" && echo frozen && read -r _; fsfreeze --unfreeze "$0"`, dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	thaw = sync.OnceFunc(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("thawing %s: %v", dir, err)
		}
	})
	t.Cleanup(thaw)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "frozen\n" {
		t.Fatalf("freezing %s: %q, %v", dir, line, err)
	}
	return thaw
}

// A disk that takes nothing stops the guests whose logs are on it, and nobody else: not
// other guests, not the daemon, and not the end of those guests.
func TestLogOnASlowDisk(t *testing.T) {
	d := shared(t)
	config := podConfig(t, d, own)
	config.LogDirectory = newDisk(t)
	slow := runPod(t, d, config, daemon.Handler)
	stays, ends := slow.run(t, containerConfig(countImage)), slow.run(t, containerConfig(countImage))
	stays.waitForLog(t, "1000\n")
	ends.waitForLog(t, "1000\n")
	thaw := freeze(t, config.LogDirectory)

	// A start waits for its log, as long as it takes.
	late, started := slow.create(t, writes(t, []byte("late\n"))), make(chan error, 1)
	go func() { started <- late.start() }()
	// Guests end as ever: CRI says so when their logs are written.
	stopped := make(chan error, 1)
	go func() {
		_, err := d.CRI().StopContainer(ends.ctx, &criapi.StopContainerRequest{ContainerId: ends.id, Timeout: 300})
		stopped <- err
	}()
	daemon.Eventually(t, "the end of the guest", func() error {
		if pids, err := d.Pids(ends.ctx, ends.id); status.Code(err) != codes.NotFound {
			return fmt.Errorf("it has threads %v, %w", pids, err)
		}
		return nil
	})
	expectOthersGoOn(t, d)
	if s := stays.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the other guest with a log there is %v", s)
	}
	select {
	case err := <-stopped:
		t.Errorf("the container was stopped before its log was written: %v", err)
	case err := <-started:
		t.Errorf("a container was started before its log was made: %v", err)
	default:
	}

	thaw()
	if err := errors.Join(<-stopped, <-started); err != nil {
		t.Error(err)
	}
	late.expectExit(t, 0, "Completed")
	if got := late.wholeLog(t, "stdout"); got != "late\n" {
		t.Errorf("the log that was waited for has %q", got)
	}
	ends.expectExit(t, 143, "Error")
	expectNumbers(t, ends.wholeLog(t, "stdout"))
	// The other one goes on.
	size := fileSize(t, stays.log)
	daemon.Eventually(t, "more in the log", func() error {
		if now := fileSize(t, stays.log); now <= size {
			return fmt.Errorf("it has %d bytes, and had %d", now, size)
		}
		return nil
	})
	stays.stop(t, 0)
	expectNumbers(t, stays.wholeLog(t, "stdout"))
	slow.remove(t) // so that the disk can go
}

// expectOthersGoOn: pods start, write, answer to execs and end, as ever.
func expectOthersGoOn(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	p := wasmPod(t, d, own)
	text := numbers(50_000)
	c := p.run(t, writes(t, []byte(text)))
	c.expectExit(t, 0, "Completed")
	if got := c.wholeLog(t, "stdout"); got != text {
		t.Errorf("the log of another guest has %d of %d bytes", len(got), len(text))
	}
	c = p.run(t, containerConfig(toolsImage))
	if r, err := c.execSync(60, "/exit.wasm", "3"); err != nil || r.GetExitCode() != 3 {
		t.Errorf("an exec in another guest: %v, %v", r, err)
	}
	c.stop(t, 0)
	p.remove(t)
	for range 5 {
		runPodToTheEnd(t, d, podConfig(t, d, own), 7)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A guest that waits for a disk cannot be ended before the disk answers, which is the
// business of nobody else.
func TestVolumeOnASlowDisk(t *testing.T) {
	d := shared(t)
	dir := newDisk(t)
	p := wasmPod(t, d, own)
	thaw := freeze(t, dir)
	config := containerConfig("write", "/data/file", "text")
	config.Mounts = []*criapi.Mount{{HostPath: dir, ContainerPath: "/data"}}
	c := p.run(t, config)
	daemon.Eventually(t, "the guest to wait for the disk", func() error {
		if state := threadState(t, d, c.pid(t)); state != "D" {
			return fmt.Errorf("its thread is in state %q", state)
		}
		return nil
	})
	stopped := make(chan error, 1)
	go func() {
		_, err := d.CRI().StopContainer(c.ctx, &criapi.StopContainerRequest{ContainerId: c.id, Timeout: 1})
		stopped <- err
	}()
	expectOthersGoOn(t, d)
	select {
	case err := <-stopped:
		t.Errorf("the container was stopped while its guest was in the kernel: %v", err)
	default:
	}
	thaw()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if s := c.wait(t); s.GetExitCode() != 137 && s.GetExitCode() != 143 {
		t.Errorf("exit code %d", s.GetExitCode())
	}
	p.remove(t) // so that the disk can go
}

// threadState is a letter of proc_pid_stat(5).
func threadState(t *testing.T, d *daemon.Daemon, tid int) string {
	t.Helper()
	stat := readFile(t, fmt.Sprintf("/proc/%d/task/%d/stat", d.PID(), tid))
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])[0]
}
