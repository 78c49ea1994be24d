// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// interactive describes a container that returns what it reads.
func interactive(tty, once bool) *criapi.ContainerConfig {
	config := containerConfig(toolsImage)
	config.Command = []string{"/echo.wasm"}
	config.Stdin, config.StdinOnce, config.Tty = true, once, tty
	return config
}

// The two streams of an exec are two for its client, and one on a terminal.
func TestStreamsOfAnExec(t *testing.T) {
	d := shared(t)
	c := wasmPod(t, d, own).run(t, containerConfig(toolsImage))
	name, missing := c.config.GetHostname()+"\n", "/none: No such file or directory\n"
	out := d.Crictl(t, "", "exec", c.id, "/cat.wasm", "/etc/hostname", "/none")
	if out.Stdout != name || !strings.HasPrefix(out.Stderr, missing) || out.Code != 1 {
		t.Errorf("%+v", out)
	}
	term := d.CrictlOnTerminal(t, "exec", "-i", "-t", c.id, "/cat.wasm", "/etc/hostname", "/none")
	if code := term.Wait(t); code != 1 || !strings.Contains(term.Text(), name) || !strings.Contains(term.Text(), missing) {
		t.Errorf("code %d: %q", code, term.Text())
	}
}

// What is typed to end an exec ends that one alone.
func TestKeysOnTheTerminalOfAnExec(t *testing.T) {
	d := shared(t)
	c := wasmPod(t, d, host).run(t, containerConfig(toolsImage))
	for keys, code := range map[string]int{"\x03": 130, "\x1c": 131, "\x04": 0} {
		term := d.CrictlOnTerminal(t, "exec", "-i", "-t", c.id, "/echo.wasm")
		c.expectThreads(t, 2)
		term.Type(t, "text\r")
		term.Expect(t, strings.Repeat("text\n", 2))
		term.Type(t, keys)
		term.Wait(t)
		// crictl itself says it in words.
		if got := term.Text(); code != 0 && !strings.Contains(got, fmt.Sprintf("exit code %d", code)) {
			t.Errorf("%q: the terminal has %q, want code %d", keys, got, code)
		}
		c.expectThreads(t, 1)
	}
	if s := c.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the container is %v", s)
	}
}

// Of two that are attached both see everything, and both can write. One that goes away
// takes nothing with it.
func TestAttachTwice(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	for name, tty := range map[string]bool{"a terminal": true, "streams": false} {
		t.Run(name, func(t *testing.T) {
			c := p.run(t, interactive(tty, false))
			flags := []string{"attach", "-i", c.id}
			if tty {
				flags = []string{"attach", "-i", "-t", c.id}
			}
			one, two := d.CrictlOnTerminal(t, flags...), d.CrictlOnTerminal(t, flags...)
			say := func(from *daemon.Terminal, text string, others ...*daemon.Terminal) {
				t.Helper()
				daemon.Eventually(t, text, func() error {
					from.Type(t, text+"\r")                               // again, for who was not attached yet
					if got := from.Text(); strings.Count(got, text) < 2 { // the first is an echo
						return errors.New(got)
					}
					for _, term := range others {
						if got := term.Text(); !strings.Contains(got, text) {
							return errors.New(got)
						}
					}
					return nil
				})
			}
			say(one, "from one", two)
			say(two, "from two", one)
			one.Hangup(t)
			say(two, "still there")
			three := d.CrictlOnTerminal(t, flags...)
			say(three, "from three", two)
			two.Hangup(t)
			three.Hangup(t)
			if s := c.status(t).GetState(); s != criapi.ContainerState_CONTAINER_RUNNING {
				t.Errorf("the container is %v", s)
			}
			c.stop(t, 300)
			c.expectExit(t, 143, "Error")
		})
	}
}

// A container whose input is for one client ends with that client's.
func TestAttachedOnce(t *testing.T) {
	d := shared(t)
	c := wasmPod(t, d, host).run(t, interactive(false, true))
	term := d.CrictlOnTerminal(t, "attach", "-i", c.id)
	daemon.Eventually(t, "an answer", func() error {
		term.Type(t, "text\r")
		if got := c.logs(t, "stdout"); !strings.Contains(got, "text\n") {
			return errors.New(got)
		}
		return nil
	})
	term.Hangup(t)
	c.expectExit(t, 0, "Completed")
}

// A client that goes away in the middle of an exec ends what waits for it, and leaves
// the rest as it was.
func TestExecWhoseTerminalIsGone(t *testing.T) {
	d := shared(t)
	c := wasmPod(t, d, host).run(t, containerConfig(toolsImage))
	for _, flags := range [][]string{{"exec", "-i"}, {"exec", "-i", "-t"}} {
		term := d.CrictlOnTerminal(t, append(flags, c.id, "/echo.wasm")...)
		c.expectThreads(t, 2)
		term.Type(t, "text\r")
		term.Expect(t, strings.Repeat("text\n", 2))
		term.Hangup(t)
		c.expectThreads(t, 1)
	}
	// A flood that nobody reads any more.
	term := d.CrictlOnTerminal(t, "exec", c.id, "/flood.wasm")
	c.expectThreads(t, 2)
	term.Hangup(t)
	if r, err := c.execSync(60, "/exit.wasm", "3"); err != nil || r.GetExitCode() != 3 {
		t.Errorf("another exec: code %d, %v", r.GetExitCode(), err)
	}
	c.stop(t, 300)
	c.expectExit(t, 143, "Error")
}

// What cannot be attached to, or exec'd in, is an error that says so.
func TestAttachThatMakesNoSense(t *testing.T) {
	d := shared(t)
	p := wasmPod(t, d, host)
	exited := p.run(t, containerConfig("exit"))
	exited.wait(t)
	for _, args := range [][]string{{"attach", exited.id}, {"exec", exited.id, "/exit.wasm"}} {
		if out := d.Crictl(t, "", args...); out.Code == 0 || !strings.Contains(out.Stderr, "CONTAINER_EXITED") {
			t.Errorf("%v after its end: %+v", args[0], out)
		}
	}
	// Without a stream there is nothing to do.
	c := p.run(t, containerConfig("sleep"))
	if _, err := d.CRI().Attach(p.ctx, &criapi.AttachRequest{ContainerId: c.id}); err == nil {
		t.Error("attached to nothing")
	}
	if _, err := d.CRI().Exec(p.ctx, &criapi.ExecRequest{ContainerId: c.id, Cmd: []string{"/sleep.wasm"}, Tty: true, Stderr: true}); err == nil {
		t.Error("a terminal with a stderr of its own")
	}
	// A container without input ignores what is sent.
	ticking := p.run(t, containerConfig("sleep", "1"))
	if out := d.Crictl(t, "input\n", "attach", "-i", ticking.id); out.Code != 0 {
		t.Errorf("%+v", out)
	}
	ticking.expectExit(t, 0, "Completed")
}
