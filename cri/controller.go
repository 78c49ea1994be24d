// SPDX-License-Identifier: Apache-2.0

// Package cri makes pod sandboxes for WebAssembly in this process: an
// implementation of containerd's Sandbox API without a pause image, a pause
// process or a shim.
//
// The pod's network namespace and its CNI set-up stay with upstream's CRI
// plugin. What remains is what the pause container did besides pausing: it
// holds the pod's namespaces, for which a parked thread is enough, and it has
// the pod's sysctls, hostname and /etc files made.
//
//	Create -> Start -> READY -> Stop -> NOT READY -> Shutdown
//
// A restart of the daemon ends the parked threads. The controller then holds
// no sandbox, and reports those that have a record not ready; Shutdown removes
// what is left of them.
//
// Beside the Controller there are:
//
//	RuntimeService  what CRI's calls do otherwise for such pods, and what upstream's answers lack
//	UnpackWASI      has CRI unpack images for WASI
//	Leftovers       what upstream leaves of pods of any kind, if the daemon dies while it makes them
package cri

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/identifiers"
	ptypes "github.com/containerd/containerd/v2/pkg/protobuf/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/containerd/typeurl/v2"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// Config of a Controller.
type Config struct {
	// Root is the directory in which upstream's CRI plugin looks for the files
	// of a sandbox: Root/sandboxes/ID/{hostname,hosts,resolv.conf}.
	Root string
	// RuntimeType is a label for CRI's metrics.
	RuntimeType string
	// UnprivilegedPorts lets pods with a network of their own listen below
	// port 1024 without a capability; UnprivilegedICMP lets them ping.
	UnprivilegedPorts, UnprivilegedICMP bool
	// Metrics gives what the containers of a sandbox use, as a message that
	// upstream's CRI service decodes.
	Metrics func(ctx context.Context, id string) (*ptypes.Any, error)
	// Records are those of all sandboxes, also of earlier daemons'.
	Records sandbox.Store
	// Containers are the records of all containers, and Snapshotters by name what
	// their writable layers are in; RuntimeService looks at both.
	Containers   containers.Store
	Snapshotters map[string]snapshots.Snapshotter
}

// Controller makes and holds the sandboxes.
type Controller struct {
	config Config
	reason error // why there can be no sandboxes, or nil

	mu        sync.Mutex
	sandboxes map[string]*pod
}

var _ sandbox.Controller = (*Controller)(nil)

// New returns a controller without sandboxes.
func New(config Config) *Controller {
	return &Controller{config: config, sandboxes: make(map[string]*pod)}
}

// NewWithout returns a controller that refuses every new sandbox for a reason, and
// knows those of earlier daemons; Config.Metrics may be missing. One controller that is
// missing would end upstream's whole CRI service.
func NewWithout(reason error, config Config) *Controller {
	c := New(config)
	c.reason = reason
	return c
}

// Create notes what the sandbox is to be.
//
// Errors: AlreadyExists; InvalidArgument; Unavailable.
func (c *Controller) Create(_ context.Context, info sandbox.Sandbox, opts ...sandbox.CreateOpt) error {
	if c.reason != nil {
		return fmt.Errorf("sandboxes of runtime %s did not start with the daemon: %s: %w", info.Runtime.Name, c.reason.Error(), errdefs.ErrUnavailable)
	}
	if err := identifiers.Validate(info.ID); err != nil {
		return fmt.Errorf("sandbox id %q: %w", info.ID, err)
	}
	var options sandbox.CreateOptions
	for _, opt := range opts {
		if err := opt(&options); err != nil {
			return fmt.Errorf("sandbox %q: %w", info.ID, err)
		}
	}
	config := &criapi.PodSandboxConfig{}
	if o := options.Options; o != nil && o.GetTypeUrl() != "" { // none of gRPC's is not nil
		if err := typeurl.UnmarshalTo(o, config); err != nil {
			return fmt.Errorf("sandbox %q: its options are no PodSandboxConfig: %w: %w", info.ID, err, errdefs.ErrInvalidArgument)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.sandboxes[info.ID]; ok {
		return fmt.Errorf("sandbox %q: %w", info.ID, errdefs.ErrAlreadyExists)
	}
	p := &pod{id: info.ID, config: config, netns: options.NetNSPath, createdAt: info.CreatedAt, settled: make(chan struct{})}
	if p.createdAt.IsZero() {
		// Upstream leaves it out for pods on the host's network, whose record it has
		// just made.
		p.createdAt = time.Now()
	}
	c.sandboxes[info.ID] = p
	return nil
}

// get finds a sandbox. Errors: NotFound.
func (c *Controller) get(id string) (*pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.sandboxes[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("sandbox %q: %w", id, errdefs.ErrNotFound)
}

// Start makes the pod's files and the thread that holds its namespaces.
//
// Errors: NotFound; FailedPrecondition: it was started or stopped before; otherwise what
// could not be made. The sandbox is then gone, as CRI expects.
func (c *Controller) Start(ctx context.Context, id string) (sandbox.ControllerInstance, error) {
	p, err := c.get(id)
	if err != nil {
		return sandbox.ControllerInstance{}, err
	}
	spec, err := p.record()
	if err != nil {
		return sandbox.ControllerInstance{}, fmt.Errorf("sandbox %q: %w", id, err)
	}
	if err := p.start(ctx, c.config); err != nil {
		if !errdefs.IsFailedPrecondition(err) {
			c.forget(id)
		}
		return sandbox.ControllerInstance{}, fmt.Errorf("sandbox %q: %w", id, err)
	}
	return sandbox.ControllerInstance{
		SandboxID: id,
		Pid:       p.pid(),
		CreatedAt: p.createdAt,
		Labels:    map[string]string{"oci_runtime_type": c.config.RuntimeType},
		Spec:      spec,
	}, nil
}

// forget drops a sandbox that was never started, and its files.
func (c *Controller) forget(id string) {
	c.mu.Lock()
	delete(c.sandboxes, id)
	c.mu.Unlock()
	_ = removeFiles(c.config.Root, id)
}

// Platform is what CRI writes OCI specs for. Guests are given Linux ones, of
// which package runtime takes what means something to them.
func (c *Controller) Platform(context.Context, string) (imagespec.Platform, error) {
	return platforms.DefaultSpec(), nil
}

// Stop ends the sandbox; one that is unknown or stopped already is no error.
func (c *Controller) Stop(ctx context.Context, id string, _ ...sandbox.StopOpt) error {
	p, err := c.get(id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	p.stop()
	_, err = p.wait(ctx)
	return err
}

// Wait returns once the sandbox has ended.
func (c *Controller) Wait(ctx context.Context, id string) (sandbox.ExitStatus, error) {
	p, err := c.get(id)
	if err != nil {
		return sandbox.ExitStatus{}, err
	}
	at, err := p.wait(ctx)
	return sandbox.ExitStatus{ExitedAt: at}, err
}

// Status says whether the sandbox is ready.
//
// Errors: NotFound.
func (c *Controller) Status(ctx context.Context, id string, verbose bool) (sandbox.ControllerStatus, error) {
	p, err := c.get(id)
	if err != nil {
		return c.ended(ctx, id, verbose)
	}
	return p.status(c.config, verbose)
}

// Shutdown ends the sandbox and removes all that is left of it, also of one
// of an earlier daemon.
func (c *Controller) Shutdown(ctx context.Context, id string) error {
	if err := identifiers.Validate(id); err != nil {
		return fmt.Errorf("sandbox id %q: %w", id, err)
	}
	if err := c.Stop(ctx, id); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.sandboxes, id)
	c.mu.Unlock()
	if err := removeFiles(c.config.Root, id); err != nil {
		return fmt.Errorf("sandbox %q: %w", id, err)
	}
	return nil
}

// HostPID says whether Linux containers of a sandbox are to see all processes of the
// node. What they are given otherwise looks the same: the namespace of the parked
// thread is the daemon's.
func (c *Controller) HostPID(id string) bool {
	p, err := c.get(id)
	return err == nil && p.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetPid() == criapi.NamespaceMode_NODE
}

// Metrics of a sandbox are those of its containers: it runs nothing itself.
func (c *Controller) Metrics(ctx context.Context, id string) (*types.Metric, error) {
	if _, err := c.get(id); err != nil {
		return nil, err
	}
	data, err := c.config.Metrics(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("metrics of sandbox %q: %w", id, err)
	}
	return &types.Metric{ID: id, Timestamp: timestamppb.Now(), Data: data}, nil
}

// Update takes note of nothing: no part of a sandbox that may change, such as
// its annotations or labels, has an effect here.
func (c *Controller) Update(_ context.Context, id string, _ sandbox.Sandbox, _ ...string) error {
	_, err := c.get(id)
	return err
}

// pod is one sandbox.
//
//	          start            stop
//	CREATED --------> READY ----------> over
//	   |                                 ^
//	   +---------------------------------+
//	            stop, start fails
type pod struct {
	id     string
	config *criapi.PodSandboxConfig
	netns  string // path, empty: the host's

	createdAt time.Time // that of the record, which outlives this process

	mu       sync.Mutex
	settled  chan struct{} // closed once there is a thread, or never will be one
	thread   *jail.Guest   // nil before start
	exitedAt time.Time     // zero: not over, or not noticed
}

func (p *pod) start(ctx context.Context, config Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isSettled() {
		return fmt.Errorf("it was started or stopped before: %w", errdefs.ErrFailedPrecondition)
	}
	defer close(p.settled) // also of one that cannot be started, for who waits
	spec, err := p.parked(config)
	if err != nil {
		return err
	}
	if err := makeFiles(config.Root, p.id, p.config); err != nil {
		return err
	}
	if p.thread, err = jail.New(ctx, spec); err != nil {
		return fmt.Errorf("a thread to hold the pod's namespaces: %w", err)
	}
	return nil
}

func (p *pod) isSettled() bool {
	select {
	case <-p.settled:
		return true
	default:
		return false
	}
}

// pid is the id of the thread whose /proc/PID/ns are the pod's namespaces.
func (p *pod) pid() uint32 { return uint32(p.thread.TID()) }

func (p *pod) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.thread != nil:
		p.thread.Kill()
	case !p.isSettled():
		close(p.settled)
	}
}

// wait returns when the sandbox ended.
func (p *pod) wait(ctx context.Context) (time.Time, error) {
	select {
	case <-p.settled:
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("waiting for sandbox %q: %w", p.id, context.Cause(ctx))
	}
	if p.thread != nil { // and stays what it is
		select {
		case <-p.thread.Done():
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for sandbox %q: %w", p.id, context.Cause(ctx))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exitedAt.IsZero() {
		p.exitedAt = time.Now()
	}
	return p.exitedAt, nil
}
