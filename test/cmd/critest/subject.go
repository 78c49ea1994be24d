// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/critest"
	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// subject is what critest is run on.
type subject struct {
	name     string
	handler  string // of pods; empty: runc's, which is the default
	registry string // where all images come from
	opts     []daemon.Option
}

// seed gives the tests the same order every time.
const seed = "1"

// registryConfig has CRI pull from the registry, whatever the image's host is.
const registryConfig = "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = %q\n"

// hosts is for the folder _default: an image that the registry does not have is
// looked for nowhere else.
const hosts = "server = \"http://%[1]s\"\n[host.\"http://%[1]s\"]\ncapabilities = [\"pull\", \"resolve\"]\n"

// run starts the daemon, runs those tests that the regular expression focus matches,
// and removes all that they and the daemon left, also when ctx ends. The report and
// the logs get suffix in their names.
func (s subject) run(ctx context.Context, suffix, focus string) (_ critest.Report, retErr error) {
	config, err := os.MkdirTemp("", "critest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(config)
	if err := writeHosts(config, s.registry); err != nil {
		return nil, err
	}
	opts := append([]daemon.Option{daemon.WithHostPorts(), daemon.WithTOML(fmt.Sprintf(registryConfig, config))}, s.opts...)
	d, err := daemon.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	base := filepath.Join(*output, strings.NewReplacer(", ", "-", " ", "-").Replace(s.name)+suffix)
	defer func() {
		err := os.WriteFile(base+".daemon.log", []byte(d.Log(0)), 0o644)
		retErr = errors.Join(retErr, err, removePods(d), d.Close())
	}()
	return s.test(ctx, d, base, focus)
}

func writeHosts(dir, registry string) error {
	dir = filepath.Join(dir, "_default")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "hosts.toml"), fmt.Appendf(nil, hosts, registry), 0o644)
}

// test runs critest, whose exit code says only that some test failed.
func (s subject) test(ctx context.Context, d *daemon.Daemon, base, focus string) (critest.Report, error) {
	report, log := base+".xml", base+".log"
	if err := os.RemoveAll(report); err != nil {
		return nil, err
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	fmt.Printf("critest: testing %s; see %s\n", s.name, log)
	started := time.Now()
	cmd := exec.CommandContext(ctx, *program,
		"-runtime-endpoint=unix://"+d.Address, "-image-endpoint=unix://"+d.Address, "-runtime-handler="+s.handler,
		"-ginkgo.seed="+seed, "-ginkgo.no-color", "-ginkgo.focus="+focus, "-ginkgo.junit-report="+report)
	cmd.Stdout, cmd.Stderr = out, out
	// What the tests leave there goes with the daemon's directory.
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(d.Dir, "tmp"))
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("critest on %s: %w", s.name, err)
	}
	if !d.Alive() {
		return nil, fmt.Errorf("%s died of the tests; see %s.daemon.log", s.name, base)
	}
	fmt.Printf("critest: it took %v\n", time.Since(started).Round(time.Second))
	return critest.ReadReport(report)
}

// cleanup is how long the removal of what failed tests left may take.
const cleanup = time.Minute

// removePods removes what tests that failed, or were interrupted, left running, by the
// daemon, which knows what there is: cgroups are not below one of d's own.
func removePods(d *daemon.Daemon) error {
	if !d.Alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanup)
	defer cancel()
	pods, err := d.CRI().ListPodSandbox(ctx, &criapi.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("listing pods that are left: %w", err)
	}
	for _, p := range pods.GetItems() {
		_, stopErr := d.CRI().StopPodSandbox(ctx, &criapi.StopPodSandboxRequest{PodSandboxId: p.GetId()})
		_, removeErr := d.CRI().RemovePodSandbox(ctx, &criapi.RemovePodSandboxRequest{PodSandboxId: p.GetId()})
		err = errors.Join(err, stopErr, removeErr)
	}
	return err
}
