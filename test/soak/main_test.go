// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// program is what scripts/test-vm.sh calls the daemon among images.Programs.
const program = "soak-daemon"

// start starts a daemon of this package's, which ends with the test. Modules that
// nobody uses are unloaded soon, so that what they take does not look like a leak, and
// so that they are loaded again and again.
func start(t *testing.T) *daemon.Daemon {
	t.Helper()
	testutil.RequiresRoot(t)
	path := filepath.Join(os.Getenv(images.Programs), program)
	if os.Getenv(images.Programs) == "" {
		path = build(t)
	}
	d, err := daemon.New(t.Context(), daemon.WithProgram(path), daemon.WithBridge(), daemon.WithTOML(`
[plugins.'io.containerd.wasm.v1.engine']
idle_time = "200ms"`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log := d.Log(0)
			t.Logf("the end of the daemon's log:\n%s", log[max(0, len(log)-32<<10):])
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// build builds the daemon as this test is built: its tags, and the race detector.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), program)
	args := append([]string{"build", "-buildvcs=false"}, flags()...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "-o", path, "./daemon")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}

func flags() []string {
	var out []string
	info, _ := debug.ReadBuildInfo() // without it, there are no flags
	for _, s := range info.Settings {
		if s.Key == "-tags" || s.Key == "-race" {
			out = append(out, s.Key+"="+s.Value)
		}
	}
	return out
}

// raced says whether there is a race detector.
func raced() bool { return slices.Contains(flags(), "-race=true") }

// checkRaces fails the test for each report of the daemon's race detector.
func checkRaces(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	const separator = "=================="
	for report := range strings.SplitSeq(d.Log(0), separator) {
		if strings.Contains(report, "WARNING: DATA RACE") {
			t.Errorf("the race detector of the daemon:\n%s", report)
		}
	}
}

// source is the image of a module's source, elsewhere in the tests.
func source(name string) string { return "example.com/" + name + ":latest" }

func importSource(t *testing.T, d *daemon.Daemon, name, path string) {
	t.Helper()
	module, err := images.CompileFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	importModule(t, d, name, module)
}

func importModule(t *testing.T, d *daemon.Daemon, name string, module []byte) {
	t.Helper()
	config := v1.Config{Entrypoint: []string{"/main.wasm"}, WorkingDir: "/"}
	img, err := images.New(images.Host(), config, map[string][]byte{"/main.wasm": module})
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, source(name), img)
}

// expectEnd waits for the end of a container, which is to have one of the exit codes.
func expectEnd(c *daemon.Container, codes ...int) error {
	got, err := c.Wait()
	if err != nil {
		return err
	}
	if slices.Contains(codes, got) {
		return nil
	}
	return fmt.Errorf("exit code %d, not one of %v; stderr: %.300q", got, codes, c.Stderr.String())
}

// with makes a container and its task, and removes both.
func with(ctx context.Context, d *daemon.Daemon, j daemon.Job, f func(*daemon.Container) error) error {
	c, err := d.NewContainer(ctx, j)
	if err != nil {
		return err
	}
	err = c.CreateTask()
	if err == nil {
		err = f(c)
	}
	if e := c.Remove(); err == nil {
		err = e
	}
	return err
}
