// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/osthread"
)

// pods are two network namespaces, as two pods have them. The guest's has podAddress,
// the other one otherAddress, where it answers on otherPort.
type pods struct {
	guest, other string // paths of the namespaces
	listener     net.Listener
}

const (
	podAddress   = "10.231.77.1"
	otherAddress = "10.231.77.2"
	otherPort    = "7000"
	answer       = "the other pod"
)

// makePods makes them below dir. They are mounts there, which go with the daemon.
func makePods(dir string) (*pods, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &pods{guest: filepath.Join(dir, "guest"), other: filepath.Join(dir, "other")}
	for path, address := range map[string]string{p.guest: podAddress, p.other: otherAddress} {
		if err := makeNetNS(path, address); err != nil {
			return nil, fmt.Errorf("making network namespace %s: %w", path, err)
		}
	}
	err := inNetNS(p.other, func() (err error) {
		p.listener, err = net.Listen("tcp4", otherAddress+":"+otherPort)
		return err
	})
	if err != nil {
		return nil, err
	}
	go p.serve()
	return p, nil
}

func (p *pods) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		conn.Close()
	}
}

// check says whether the other pod still answers to those who ask in its network.
func (p *pods) check() error {
	return inNetNS(p.other, func() error {
		conn, err := net.Dial("tcp4", otherAddress+":"+otherPort)
		if err != nil {
			return err
		}
		defer conn.Close()
		if got, err := io.ReadAll(conn); err != nil || string(got) != answer {
			return fmt.Errorf("the other pod answered %q (%w)", got, err)
		}
		return nil
	})
}

func makeNetNS(path, address string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"address", "add", address + "/32", "dev", "lo"}} {
		cmd := exec.Command("nsenter", append([]string{"--net=" + path, "ip"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", cmd.Args, err, out)
		}
	}
	return nil
}

func inNetNS(path string, f func() error) error {
	return onOwnThread(func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// onOwnThread calls f on a thread that ends with it.
func onOwnThread(f func() error) (err error) {
	osthread.Do(func() { err = f() })
	return err
}
