// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// marker is in the environment of the daemon, and of everything that it starts but
// containers.
const marker = "CONTAINERD_WASM_TEST="

// What a busy machine with two CPUs may need.
var (
	startTimeout = patience.For(60 * time.Second)
	stopTimeout  = patience.For(30 * time.Second)
)

// process is one run of the daemon.
type process struct {
	pid  int
	done chan struct{} // closed when it is over
	err  error         // valid after done
}

// launch starts the daemon and waits until it answers.
func (d *Daemon) launch(ctx context.Context) error {
	p, err := d.spawn()
	if err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	d.mu.Lock()
	d.process = p
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := d.waitUntilServing(ctx, p); err != nil {
		return fmt.Errorf("%w\nlog of the daemon:\n%s", err, d.Log(0))
	}
	return nil
}

func (d *Daemon) spawn() (*process, error) {
	log, err := os.OpenFile(d.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(d.options.program, "-c", d.configPath())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = d.environ()
	// A process group of its own: ^C is for the tests, which stop it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	// Pdeathsig is sent when this thread ends, not this process.
	go osthread.Do(func() {
		err := d.enter()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	})
	return p, <-started
}

// enter moves the calling thread, which is to start the daemon, to its namespaces.
func (d *Daemon) enter() error {
	if err := d.enterNetwork(); err != nil {
		return err
	}
	if len(d.options.hostFiles) == 0 {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace for the daemon: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keeping the daemon's mounts to itself: %w", err)
	}
	for path, content := range d.options.hostFiles {
		source := filepath.Join(d.Dir, filepath.Base(path))
		if err := os.WriteFile(source, []byte(content), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("giving the daemon another %s: %w", path, err)
		}
	}
	return nil
}

// environ finds the shims of the same build first.
func (d *Daemon) environ() []string {
	return append(os.Environ(),
		"PATH="+d.bin+":"+os.Getenv("PATH"),
		"TMPDIR="+filepath.Join(d.Dir, "tmp"),
		"CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1",
		marker+d.Name)
}

// waitUntilServing waits for the socket first: a client that finds none waits
// longer and longer between its attempts.
func (d *Daemon) waitUntilServing(ctx context.Context, p *process) error {
	for {
		conn, err := net.Dial("unix", d.Address)
		if err == nil {
			conn.Close()
			return d.connect(ctx)
		}
		select {
		case <-p.done:
			return fmt.Errorf("the daemon ended while it started: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("the daemon does not listen: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// PID is the daemon's process id.
func (d *Daemon) PID() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.process.pid
}

// Alive says whether the daemon still runs.
func (d *Daemon) Alive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil {
		return false
	}
	select {
	case <-d.process.done:
		return false
	default:
		return true
	}
}

// Kill ends the daemon as a crash would, and returns when it is gone.
func (d *Daemon) Kill(t testing.TB) {
	t.Helper()
	if err := d.signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// Stop asks the daemon to end, and waits for it.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	if err := d.signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// PowerOff ends the daemon, and leaves what the machine would have after that: no
// process, mount, link, cgroup, and an empty state directory. The root is kept.
func (d *Daemon) PowerOff(t testing.TB) {
	t.Helper()
	d.Kill(t)
	d.killAll()
	err := errors.Join(d.unmountAll(), d.removeNetwork(), d.removeCgroups())
	if err == nil {
		err = os.RemoveAll(d.State)
	}
	if err != nil {
		t.Fatalf("switching off: %v", err)
	}
}

// Upgrade starts another program in place of the daemon that ended.
func (d *Daemon) Upgrade(t testing.TB, program string) {
	t.Helper()
	d.options.program = program
	d.Restart(t)
}

// Reconfigure gives the daemon that ended other lines than WithTOML's, and starts it.
func (d *Daemon) Reconfigure(t testing.TB, lines string) {
	t.Helper()
	d.options.toml = lines + "\n"
	if err := d.writeConfig(); err != nil {
		t.Fatal(err)
	}
	d.Restart(t)
}

// Restart starts a daemon on the directories of the one that ended.
func (d *Daemon) Restart(t testing.TB) {
	t.Helper()
	if d.Alive() {
		t.Fatal("the daemon still runs")
	}
	if err := d.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// signal ends the daemon; one that is over is no error.
func (d *Daemon) signal(s unix.Signal) error {
	d.disconnect()
	d.mu.Lock()
	p := d.process
	d.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := unix.Kill(p.pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("sending %v to the daemon: %w", s, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("the daemon does not end %v after %v", stopTimeout, s)
	}
}
