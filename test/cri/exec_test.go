// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// execSync is what kubelet does for probes and hooks.
func (c *container) execSync(timeout int64, command ...string) (*criapi.ExecSyncResponse, error) {
	return c.d.CRI().ExecSync(c.ctx, &criapi.ExecSyncRequest{ContainerId: c.id, Cmd: command, Timeout: timeout})
}

// stackLines are those of the functions that a guest was in.
var stackLines = regexp.MustCompile(`(  at .*\n)+`)

func TestExecSync(t *testing.T) {
	c := wasmPod(t, shared(t), own).run(t, containerConfig(toolsImage))
	for name, tc := range map[string]struct {
		command        []string
		code           int32
		stdout, stderr string
	}{
		"success":    {[]string{"/exit.wasm"}, 0, "", ""},
		"failure":    {[]string{"/exit.wasm", "1"}, 1, "", ""},
		"exit code":  {[]string{"exit.wasm", "42"}, 42, "", ""},
		"output":     {[]string{"/cat.wasm", "/etc/hostname"}, 0, c.config.GetHostname() + "\n", ""},
		"errors":     {[]string{"/cat.wasm", "/none"}, 1, "", "/none: No such file or directory\n"},
		"trap":       {[]string{"/trap.wasm"}, 134, "", "WebAssembly trap: unreachable\n  at ...\n"},
		"no input":   {[]string{"/echo.wasm"}, 0, "", ""},
		"same again": {[]string{"/sleep.wasm", "0"}, 0, "sleeping\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.execSync(60, tc.command...)
			if err != nil {
				t.Fatal(err)
			}
			stderr := stackLines.ReplaceAllString(string(r.GetStderr()), "  at ...\n")
			if r.GetExitCode() != tc.code || string(r.GetStdout()) != tc.stdout || stderr != tc.stderr {
				t.Errorf("code %d, stdout %q, stderr %q; want %d, %q, %q", r.GetExitCode(), r.GetStdout(), r.GetStderr(), tc.code, tc.stdout, tc.stderr)
			}
		})
	}
}

func TestExecSyncTimeout(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	for _, module := range []string{"/spin.wasm", "/sleep.wasm"} {
		begin := time.Now()
		_, err := c.execSync(1, module)
		if err == nil || !strings.Contains(err.Error(), "timeout 1s exceeded") {
			t.Errorf("%s: the error is %v", module, err)
		}
		if took := time.Since(begin); took < time.Second || took > patience.For(5*time.Second) {
			t.Errorf("%s: it took %v", module, took)
		}
	}
	if s := c.status(t); s.GetState() != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the container is %v", s)
	}
}

// What kubelet shows in an event must name the cause.
func TestExecErrorNamesTheCause(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	for want, command := range map[string]string{
		`"sh": no such file in the container; modules in it: /cat.wasm`: "sh",
		`"elf" is an ELF file`: "/elf",
	} {
		if _, err := c.execSync(60, command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %q", command, err, want)
		}
	}
	c.stop(t, 0)
	if _, err := c.execSync(60, "/exit.wasm"); err == nil || !strings.Contains(err.Error(), "CONTAINER_EXITED") {
		t.Errorf("in a container that has ended: %v", err)
	}
}

// Probes of many containers at once, and a container that ends under them.
func TestProbesWhileTheContainerEnds(t *testing.T) {
	c := wasmPod(t, shared(t), host).run(t, containerConfig(toolsImage))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if r, err := c.execSync(60, "/exit.wasm", "3"); err != nil || r.GetExitCode() != 3 {
					t.Errorf("code %d (%v)", r.GetExitCode(), err)
				}
			}
			if r, err := c.execSync(60, "/sleep.wasm"); err != nil || r.GetExitCode() != 137 {
				t.Errorf("an exec whose container ended: code %d (%v)", r.GetExitCode(), err)
			}
		})
	}
	time.Sleep(patience.For(500 * time.Millisecond))
	c.stop(t, 0)
	wg.Wait()
	c.expectExit(t, 137, "Error")
}

// As `kubectl exec -i`, and as `kubectl exec -it`.
func TestStreamingExec(t *testing.T) {
	d := shared(t)
	c := wasmPod(t, d, own).run(t, containerConfig(toolsImage))
	text := strings.Repeat("0123456789abcdef\n", 1<<14)
	if out := d.Crictl(t, text, "exec", "-i", c.id, "/echo.wasm"); out.Code != 0 || out.Stdout != text {
		t.Errorf("code %d, %d of %d bytes, stderr %q", out.Code, len(out.Stdout), len(text), out.Stderr)
	}
	if out := d.Crictl(t, "", "exec", c.id, "/exit.wasm", "7"); out.Code == 0 || !strings.Contains(out.Stderr, "7") {
		t.Errorf("a command that fails: %+v", out)
	}
	if out := d.Crictl(t, "", "exec", c.id, "/bin/sh"); out.Code == 0 || !strings.Contains(out.Stderr, "modules in it: /cat.wasm") {
		t.Errorf("a command that is not there: %+v", out)
	}
	term := d.CrictlOnTerminal(t, "exec", "-i", "-t", c.id, "/echo.wasm")
	tid := execThread(t, d, c)
	expectSize(t, d, tid, 80, 24)
	term.Resize(t, 100, 40)
	expectSize(t, d, tid, 100, 40)
	term.Type(t, "text\r")
	term.Expect(t, strings.Repeat("text\n", 2))
	term.Type(t, "\x04")
	if code := term.Wait(t); code != 0 {
		t.Errorf("exit code %d: %q", code, term.Screen.String())
	}
}

// execThread is the thread of a container's only exec.
func execThread(t *testing.T, d *daemon.Daemon, c *container) uint32 {
	t.Helper()
	var tid uint32
	daemon.Eventually(t, "the exec", func() error {
		pids, err := d.Pids(c.ctx, c.id)
		if err != nil || len(pids) != 2 {
			return fmt.Errorf("threads %v, %w", pids, err)
		}
		tid = pids[1]
		return nil
	})
	return tid
}

func expectSize(t *testing.T, d *daemon.Daemon, tid uint32, columns, rows uint16) {
	t.Helper()
	daemon.Eventually(t, "the terminal's size", func() error {
		c, r, err := daemon.WindowSize(d.PID(), tid)
		if c != columns || r != rows || err != nil {
			return fmt.Errorf("%d columns and %d rows, %w", c, r, err)
		}
		return nil
	})
}

func TestAttach(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig(toolsImage)
	config.Command = []string{"/echo.wasm"}
	config.Stdin, config.StdinOnce = true, true
	c := p.run(t, config)
	if out := d.Crictl(t, "some\ntext\n", "attach", "-i", c.id); out.Code != 0 || out.Stdout != "some\ntext\n" {
		t.Errorf("%+v", out)
	}
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); got != "some\ntext\n" {
		t.Errorf("log %q", got)
	}
}

func TestAttachToATerminal(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	config := containerConfig(toolsImage)
	config.Command = []string{"/echo.wasm"}
	config.Stdin, config.Tty = true, true
	c := p.run(t, config)
	term := d.CrictlOnTerminal(t, "attach", "-i", "-t", c.id)
	pids, err := d.Pids(c.ctx, c.id)
	if err != nil || len(pids) != 1 {
		t.Fatalf("threads %v, %v", pids, err)
	}
	expectSize(t, d, pids[0], 80, 24)
	term.Resize(t, 100, 40)
	expectSize(t, d, pids[0], 100, 40)
	term.Type(t, "text\r")
	term.Expect(t, strings.Repeat("text\n", 2))
	// Who detaches does not end it.
	term.Hangup(t)
	term = d.CrictlOnTerminal(t, "attach", "-i", "-t", c.id)
	expectSize(t, d, pids[0], 80, 24)
	term.Type(t, "more\r")
	term.Expect(t, strings.Repeat("more\n", 2))
	term.Type(t, "\x03")
	c.expectExit(t, 130, "Error")
	term.Wait(t)
	if got := c.logs(t, "stdout"); !strings.Contains(got, strings.Repeat("text\n", 2)+strings.Repeat("more\n", 2)) {
		t.Errorf("log %q", got)
	}
}
