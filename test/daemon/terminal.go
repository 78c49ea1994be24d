// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is one that a command runs on, as on that of a user.
type Terminal struct {
	// Screen is what the command wrote so far, and the echo of what was typed.
	Screen Buffer

	master *os.File
	cmd    *exec.Cmd
	read   chan struct{} // closed when there is no more to read
}

// CtrOnTerminal runs bin/ctr in namespace d.Name on a terminal.
func (d *Daemon) CtrOnTerminal(t testing.TB, args ...string) *Terminal {
	t.Helper()
	return d.onTerminal(t, "ctr", append([]string{"--address", d.Address, "--namespace", d.Name}, args...))
}

// CrictlOnTerminal runs bin/crictl on a terminal.
func (d *Daemon) CrictlOnTerminal(t testing.TB, args ...string) *Terminal {
	t.Helper()
	return d.onTerminal(t, "crictl", append(d.crictlArgs(), args...))
}

// Crictl runs bin/crictl with the given standard input.
func (d *Daemon) Crictl(t testing.TB, input string, args ...string) Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ctrTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "crictl"), append(d.crictlArgs(), args...)...)
	cmd.Stdin = strings.NewReader(input)
	return output(t, cmd, d.environ())
}

func (d *Daemon) crictlArgs() []string {
	return []string{"--config", "/dev/null", "--runtime-endpoint", "unix://" + d.Address, "--image-endpoint", "unix://" + d.Address}
}

func (d *Daemon) onTerminal(t testing.TB, name string, args []string) *Terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{master: os.NewFile(uintptr(fd), "terminal"), read: make(chan struct{})}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), ctrTimeout)
	term.cmd = exec.CommandContext(ctx, filepath.Join(d.bin, name), args...)
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr, term.cmd.Env = slave, slave, slave, d.environ()
	term.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	term.Resize(t, 80, 24)
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(&term.Screen, term.master) // EIO: nobody has the other end
		close(term.read)
	}()
	t.Cleanup(func() {
		cancel()
		_ = term.cmd.Wait() // again, if the test did
		<-term.read
		term.master.Close()
	})
	return term
}

// Type presses keys. A command that reads none of them for long fails the test.
func (term *Terminal) Type(t testing.TB, keys string) {
	t.Helper()
	if err := term.master.SetWriteDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := term.master.WriteString(keys); err != nil {
		t.Fatalf("typing %q: %v; the terminal has %q", keys, err, term.Text())
	}
}

// Resize changes the size of the window.
func (term *Terminal) Resize(t testing.TB, columns, rows uint16) {
	t.Helper()
	conn, err := term.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	e := conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
	if err := errors.Join(e, err); err != nil {
		t.Fatal(err)
	}
}

// Text is the screen without carriage returns: ctr's and the guest's terminal add one
// each.
func (term *Terminal) Text() string { return strings.ReplaceAll(term.Screen.String(), "\r", "") }

// Expect waits until text is in Text.
func (term *Terminal) Expect(t testing.TB, text string) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%q on the terminal", text), func() error {
		if got := term.Text(); !strings.Contains(got, text) {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

// Hangup ends the command, as closing the window does.
func (term *Terminal) Hangup(t testing.TB) {
	t.Helper()
	if err := term.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	term.Wait(t)
}

// Wait returns the command's exit code when it has ended.
func (term *Terminal) Wait(t testing.TB) int {
	t.Helper()
	_ = term.cmd.Wait() // not 0 is an error as well
	select {
	case <-term.read:
	case <-time.After(Patience):
		t.Error("the command has ended, and its terminal is still open")
	}
	return term.cmd.ProcessState.ExitCode()
}

// WindowSize is the size of the terminal that a thread has as its stdin.
func WindowSize(pid int, tid uint32) (columns, rows uint16, err error) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/task/%d/fd/0", pid, tid), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, err
	}
	return size.Col, size.Row, nil
}
