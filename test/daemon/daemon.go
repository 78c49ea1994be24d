// SPDX-License-Identifier: Apache-2.0

// Package daemon starts containerd-wasm daemons for tests: each with a directory,
// sockets, a network and a name of its own, so that they run beside each other and
// beside the machine's own containerd, and so that whatever a daemon leaves behind
// can be told from what others do on the same machine.
//
//	func TestMain(m *testing.M) { os.Exit(daemon.RunTests(m)) }
//
//	var shared = daemon.Shared()
//
//	func TestSomething(t *testing.T) {
//		d := shared(t) // fails the test if it leaks, or if the daemon dies
//		...
//	}
//
// A test that kills its daemon has its own, from Start.
package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/testutil"
	"google.golang.org/grpc"
)

// The names by which users know the product.
const (
	Runtime     = "io.containerd.wasmedge.v1"
	Snapshotter = "wasm"
	Handler     = "wasm"
)

// CRINamespace is where CRI keeps images and containers.
const CRINamespace = "k8s.io"

// Daemon is a containerd-wasm process and everything around it.
type Daemon struct {
	// Name is unique on this machine. It is the containerd namespace of Client and
	// Ctr, the parent cgroup to give to pods, and the name of the bridge.
	Name string
	Dir  string // holds everything below
	Root string
	// State is the daemon's state directory; mounts below it must not outlive it.
	State   string
	Address string // of the API's socket
	Subnet  string // of the pods' network, such as "10.1.2.0/24", or empty
	Subnet6 string // the same of IPv6

	options options
	bin     string
	netns   *os.File // nil: the machine's own

	mu      sync.Mutex
	process *process
	client  *containerd.Client
	cri     *grpc.ClientConn
}

type options struct {
	toml       string
	program    string
	network    string // CNI's plugin, or empty
	portmap    bool
	dualStack  bool
	ownNetwork bool
	hostFiles  map[string]string
	tmpfs      bool
	noCRI      bool
}

// CNI's plugins.
const (
	bridge = "bridge"
	ptp    = "ptp"
)

// Option changes the daemon.
type Option func(*options)

// WithTOML adds lines to the configuration, in a file that comes after the others:
// a plugin's table in them replaces that plugin's whole.
func WithTOML(lines string) Option { return func(o *options) { o.toml += lines + "\n" } }

// WithProgram runs another daemon than bin/containerd-wasm: the file at path.
func WithProgram(path string) Option { return func(o *options) { o.program = path } }

// WithBridge gives pods a network: a bridge with a subnet of its own.
func WithBridge() Option { return func(o *options) { o.network = bridge } }

// WithPTP gives pods a network: a link to the host for each. The links do not say whose
// they are, so it is for network namespaces of one's own.
func WithPTP() Option { return func(o *options) { o.network = ptp } }

// WithHostPorts is WithBridge, and ports of the host lead to pods that ask for them.
// It leaves chains in the firewall, so it is for network namespaces of one's own.
func WithHostPorts() Option { return func(o *options) { o.network, o.portmap = bridge, true } }

// WithDualStack gives pods addresses of IPv6 as well.
func WithDualStack() Option { return func(o *options) { o.dualStack = true } }

// WithOwnNetwork runs the daemon in a network namespace of its own, which InNetwork
// enters.
func WithOwnNetwork() Option { return func(o *options) { o.ownNetwork = true } }

// WithHostFiles runs the daemon in a mount namespace of its own, where these files, which
// the machine has, have other contents. What it mounts, only it sees.
func WithHostFiles(contents map[string]string) Option {
	return func(o *options) { o.hostFiles = contents }
}

// WithoutCRI does not wait for CRI, which a mistake in the configuration disables.
func WithoutCRI() Option { return func(o *options) { o.noCRI = true } }

// WithTmpfs puts the root and state directories on a tmpfs, where fsync costs
// nothing.
func WithTmpfs() Option { return func(o *options) { o.tmpfs = true } }

// Start starts a daemon that lives as long as the test. It skips the test without
// the flag -test.root, as all tests with a daemon do.
func Start(t testing.TB, opts ...Option) *Daemon {
	t.Helper()
	testutil.RequiresRoot(t)
	d, err := New(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", d.Log(0))
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// New starts a daemon, for which the caller is to call Close.
func New(ctx context.Context, opts ...Option) (_ *Daemon, retErr error) {
	bin, err := binDir(ctx)
	if err != nil {
		return nil, err
	}
	// Short: it is a link's name (15 bytes), and part of sockets' paths (107).
	name := "cwt" + randomHex(4)
	d := &Daemon{Name: name, Dir: filepath.Join(os.TempDir(), name), bin: bin}
	d.Root, d.State = filepath.Join(d.Dir, "d/root"), filepath.Join(d.Dir, "d/state")
	d.Address = filepath.Join(d.Dir, "c.sock")
	d.options.program = filepath.Join(bin, "containerd-wasm")
	for _, opt := range opts {
		opt(&d.options)
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, d.Close())
		}
	}()
	if err := d.prepare(); err != nil {
		return nil, fmt.Errorf("preparing a daemon: %w", err)
	}
	if err := d.launch(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// binDir is where `make build` puts binaries.
func binDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module's root: %w", err)
	}
	bin := filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "bin")
	for _, name := range []string{"containerd-wasm", "ctr", "containerd-shim-runc-v2"} {
		if _, err := os.Stat(filepath.Join(bin, name)); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("bin/%s is missing: run 'make build'", name)
		} else if err != nil {
			return "", err
		}
	}
	return bin, nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Log is what the daemon wrote from the given offset on.
func (d *Daemon) Log(from int64) string {
	b, err := os.ReadFile(d.logPath())
	if err != nil {
		return err.Error()
	}
	return string(b[min(from, int64(len(b))):])
}

func (d *Daemon) logSize() int64 {
	info, err := os.Stat(d.logPath())
	if err != nil {
		return 0
	}
	return info.Size()
}

// FIFODir holds the FIFOs of containers' output while these are there.
func (d *Daemon) FIFODir() string { return filepath.Join(d.Dir, "fifo") }

func (d *Daemon) logPath() string { return filepath.Join(d.Dir, "log") }
