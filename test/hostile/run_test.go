// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// settle is how long a guest without output runs before anything is done to it.
const settle = 20 * time.Millisecond

// run is one container of a guest.
type run struct {
	*daemon.Container
	guest   *guest
	suite   *suite
	volumes []*volume
}

// run runs the guest, and returns everything that did not go as its header says.
func (s *suite) run(ctx context.Context, g *guest) error {
	return s.with(ctx, g, (*run).live)
}

// runKilled runs the guest, kills it soon, and returns what is left of it.
func (s *suite) runKilled(ctx context.Context, g *guest) error {
	return s.with(ctx, g, (*run).liveShortly)
}

// with makes a container of the guest, lets it live, and removes it.
func (s *suite) with(ctx context.Context, g *guest, live func(*run) error) (err error) {
	ref, err := g.image(ctx, s.daemon)
	if err != nil {
		return err
	}
	r := &run{guest: g, suite: s}
	defer func() { err = errors.Join(err, r.remove()) }()
	opts, err := r.options()
	if err != nil {
		return err
	}
	h := g.header
	r.Container, err = s.daemon.NewContainer(ctx, daemon.Job{
		Image: ref, Args: s.expand(h.args), Opts: opts, Open: h.stdinOpen, Unread: h.outputUnread,
	})
	if err != nil {
		return err
	}
	if err := live(r); err != nil {
		return fmt.Errorf("%w\nstdout: %.1000q\nstderr: %.1000q", err, r.Stdout.String(), r.Stderr.String())
	}
	return r.checkSurroundings()
}

// options turns the header into the container's spec, and makes what that names.
func (r *run) options() ([]oci.SpecOpts, error) {
	h := r.guest.header
	opts := []oci.SpecOpts{oci.WithEnv(h.env)}
	var mounts []specs.Mount
	for _, m := range h.mounts {
		v, err := makeVolume(r.suite.daemon.Dir, m)
		if err != nil {
			return nil, err
		}
		r.volumes = append(r.volumes, v)
		mounts = append(mounts, v.spec())
	}
	opts = append(opts, oci.WithMounts(mounts))
	if h.memory > 0 {
		opts = append(opts, oci.WithMemoryLimit(uint64(h.memory)))
	}
	if h.rootReadonly {
		opts = append(opts, oci.WithRootFSReadonly())
	}
	if len(h.masked) > 0 {
		opts = append(opts, oci.WithMaskedPaths(h.masked))
	}
	if len(h.protected) > 0 {
		opts = append(opts, oci.WithReadonlyPaths(h.protected))
	}
	if h.uid != 0 || h.gid != 0 {
		opts = append(opts, oci.WithUIDGID(h.uid, h.gid))
	}
	if h.noCaps {
		opts = append(opts, oci.WithCapabilities(nil))
	}
	switch h.network {
	case "host":
		opts = append(opts, oci.WithHostNamespace(specs.NetworkNamespace))
	case "pod":
		opts = append(opts, oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: network.guest}))
	}
	return opts, nil
}

// live takes the guest from its creation to its end.
func (r *run) live() error {
	h := r.guest.header
	if err := r.CreateTask(); h.end.kind == endCreate || err != nil {
		return expectError("create", h.end, endCreate, err)
	}
	if h.beforeStart {
		return r.finish(r.kill())
	}
	if err := r.Task.Start(r.Ctx); h.end.kind == endStart || err != nil {
		return expectError("start", h.end, endStart, err)
	}
	return r.finish(r.disturb())
}

func expectError(what string, e end, kind endKind, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s succeeded, and should fail with %q", what, e.text)
	case e.kind != kind:
		return fmt.Errorf("%s: %w", what, err)
	case !strings.Contains(err.Error(), e.text):
		return fmt.Errorf("%s failed without %q in: %w", what, e.text, err)
	}
	return nil
}

// disturb pauses and kills the guest, if it is to be.
func (r *run) disturb() error {
	h := r.guest.header
	if h.after != "" {
		if err := r.waitFor(h.after); err != nil {
			return err
		}
	} else if h.pause != "" || h.end.kind == endKill {
		time.Sleep(settle)
	}
	if h.pause != "" {
		if err := r.pause(); err != nil {
			return err
		}
	}
	if h.end.kind == endKill {
		return r.kill()
	}
	return nil
}

func (r *run) waitFor(text string) error {
	for deadline := time.Now().Add(daemon.Patience); !strings.Contains(r.Stdout.String(), text); {
		if time.Now().After(deadline) {
			return fmt.Errorf("no %q on stdout", text)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// pause pauses the guest, makes sure that it does nothing, and resumes it unless it
// is to be killed.
func (r *run) pause() error {
	if err := r.Task.Pause(r.Ctx); err != nil {
		return fmt.Errorf("pausing: %w", err)
	}
	if status, err := r.Task.Status(r.Ctx); err != nil || status.Status != containerd.Paused {
		return fmt.Errorf("the task is %s (%w), and should be paused", status.Status, err)
	}
	// What it wrote before may still be on its way.
	time.Sleep(settle)
	before := r.Stdout.String()
	time.Sleep(5 * settle)
	if after := r.Stdout.String(); after != before {
		return fmt.Errorf("it wrote %q while it was paused", after[len(before):])
	}
	if r.guest.header.pause == pauseKill {
		return nil
	}
	if err := r.Task.Resume(r.Ctx); err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	return nil
}

func (r *run) kill() error {
	if err := r.Task.Kill(r.Ctx, r.guest.header.end.signal); err != nil {
		return fmt.Errorf("killing: %w", err)
	}
	return nil
}

// liveShortly ends the guest at a moment that nobody has chosen.
func (r *run) liveShortly() error {
	const longest = 40 * time.Millisecond
	if err := r.CreateTask(); err != nil {
		return expectError("create", r.guest.header.end, endCreate, err)
	}
	if err := r.Task.Start(r.Ctx); err != nil {
		return expectError("start", r.guest.header.end, endStart, err)
	}
	time.Sleep(rand.N(longest))
	if err := r.Task.Kill(r.Ctx, unix.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("killing: %w", err)
	}
	_, err := r.Wait()
	return err
}

// finish waits for the end of the guest and looks at what it left.
func (r *run) finish(err error) error {
	if err != nil {
		return err
	}
	h := r.guest.header
	code, err := r.Wait()
	if err != nil {
		return err
	}
	if code != h.end.code {
		err = fmt.Errorf("exit code %d, want %d", code, h.end.code)
	}
	err = errors.Join(err, r.suite.checkOOM(r.ID(), h.end.oom), r.DeleteTask())
	for name, stream := range map[string]struct {
		got  string
		want []string
	}{"stdout": {r.Stdout.String(), h.stdout}, "stderr": {r.Stderr.String(), h.stderr}} {
		for _, want := range stream.want {
			if !strings.Contains(stream.got, want) {
				err = errors.Join(err, fmt.Errorf("no %q on %s", want, name))
			}
		}
	}
	return err
}

// checkSurroundings looks at what the guest must not have changed.
func (r *run) checkSurroundings() error {
	var err error
	for _, v := range r.volumes {
		err = errors.Join(err, v.check())
	}
	if r.guest.header.network == "pod" {
		err = errors.Join(err, network.check())
	}
	return err
}

func (r *run) remove() error {
	var err error
	if r.Container != nil {
		err = r.Remove()
	}
	for _, v := range r.volumes {
		err = errors.Join(err, v.remove())
	}
	return err
}
