// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// toolsImage has several modules; its entrypoint sleeps.
const toolsImage = "example.com/tools:latest"

func importTools(t testing.TB, d *daemon.Daemon) {
	t.Helper()
	img, err := images.Several(t.Context(), map[string][]byte{
		"/elf":            []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100)),
		"/malformed.wasm": []byte("\x00asm\x01\x00\x00\x00\x01\x10\x01"),
	}, "sleep", "cat", "echo", "env", "exit", "mem", "spin", "trap", "write")
	if err != nil {
		t.Fatal(err)
	}
	d.ImportImage(t, toolsImage, img)
}

// sleeper starts a container of tools that sleeps.
func sleeper(t testing.TB, d *daemon.Daemon, opts ...oci.SpecOpts) *box {
	t.Helper()
	b := start(t, d, job{image: toolsImage, opts: opts})
	b.waitForOutput(t, "sleeping")
	return b
}

// process is an exec, which goes with the test.
type process struct {
	containerd.Process
	b              *box
	stdout, stderr daemon.Buffer
}

func command(args ...string) *specs.Process { return &specs.Process{Args: args, Cwd: "/"} }

// addExec makes an exec; stdin may be nil.
func (b *box) addExec(t testing.TB, p *specs.Process, stdin io.Reader) (*process, error) {
	t.Helper()
	e := &process{b: b}
	opts := []cio.Opt{cio.WithStreams(stdin, &e.stdout, &e.stderr), cio.WithFIFODir(b.Daemon.FIFODir())}
	if p.Terminal {
		opts = append(opts, cio.WithTerminal)
	}
	var err error
	if e.Process, err = b.Task.Exec(b.Ctx, newID(), p, cio.NewCreator(opts...)); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(b.Ctx, daemon.Patience)
		defer cancel()
		if _, err := e.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			t.Error(err)
		}
	})
	return e, nil
}

// exec makes an exec and starts it.
func (b *box) exec(t testing.TB, p *specs.Process, stdin io.Reader) *process {
	t.Helper()
	e, err := b.addExec(t, p, stdin)
	if err == nil {
		err = e.Start(b.Ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wait returns how the exec ended, with all its output.
func (e *process) wait(t testing.TB) daemon.Output {
	t.Helper()
	code := waitForExit(e.b.Ctx, t, e)
	e.IO().Wait()
	return daemon.Output{Stdout: e.stdout.String(), Stderr: e.stderr.String(), Code: int(code)}
}

func TestExec(t *testing.T) {
	d := shared(t)
	b := sleeper(t, d)
	for name, tc := range map[string]struct {
		process *specs.Process
		stdin   string
		code    int
		stdout  string
	}{
		"exit code":       {process: command("/exit.wasm", "42"), code: 42},
		"the same module": {process: command("/sleep.wasm", "0"), stdout: "sleeping\n"},
		"relative":        {process: &specs.Process{Args: []string{"./../exit.wasm", "3"}, Cwd: "/tmp"}, code: 3},
		"in PATH":         {process: &specs.Process{Args: []string{"exit.wasm", "4"}, Cwd: "/tmp", Env: []string{"PATH=/bin:/"}}, code: 4},
		"no .wasm":        {process: command("/exit", "5"), code: 5},
		"environment":     {process: &specs.Process{Args: []string{"/env.wasm", "a b"}, Cwd: "/x", Env: []string{"A=1"}}, stdout: "arg /env.wasm\narg a b\nenv A=1\nenv PWD=/x\n"},
		"stdin":           {process: command("/echo.wasm"), stdin: "some\ntext", stdout: "some\ntext"},
		"trap":            {process: command("/trap.wasm"), code: 134},
	} {
		t.Run(name, func(t *testing.T) {
			e := b.exec(t, tc.process, strings.NewReader(tc.stdin))
			if err := e.CloseIO(b.Ctx, containerd.WithStdinCloser); err != nil {
				t.Error(err)
			}
			expect(t, e.wait(t), tc.code, tc.stdout)
		})
	}
	if out := b.exec(t, command("/trap.wasm"), nil).wait(t); !strings.Contains(out.Stderr, "WebAssembly trap: unreachable") {
		t.Errorf("a trap's last words are %q", out.Stderr)
	}
	b.expectStatus(t, containerd.Running)
}

func TestExecsThatCannotStart(t *testing.T) {
	d := shared(t)
	b := sleeper(t, d)
	for name, tc := range map[string]struct {
		args []string
		is   func(error) bool
		want string
	}{
		"missing":     {[]string{"/bin/sh"}, errdefs.IsNotFound, `"/bin/sh": no such file in the container; modules in it: /cat.wasm, /echo.wasm`},
		"not in PATH": {[]string{"sh"}, errdefs.IsNotFound, `"sh": no such file in the container`},
		"ELF":         {[]string{"/elf"}, errdefs.IsInvalidArgument, "is an ELF file"},
		"malformed":   {[]string{"/malformed.wasm"}, errdefs.IsInvalidArgument, "truncated"},
		"directory":   {[]string{"/"}, errdefs.IsInvalidArgument, `entrypoint "/": this directory has several WebAssembly modules, name one as the command: /cat.wasm, /echo.wasm`},
		"function":    {[]string{"/exit.wasm#none"}, errdefs.IsNotFound, `module "exit.wasm" exports no function "none"; it can begin with "_start"`},
		"the host's":  {[]string{"/proc/self/exe"}, errdefs.IsNotFound, "no such file in the container"},
		"up and out":  {[]string{"../../../../etc/passwd"}, errdefs.IsNotFound, "no such file in the container"},
		"nothing":     {[]string{""}, errdefs.IsInvalidArgument, "no command"},
		"NUL":         {[]string{"/exit.wasm", "\x00"}, errdefs.IsInvalidArgument, "NUL"},
	} {
		if _, err := b.addExec(t, command(tc.args...), nil); err == nil || !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, tc.want)
		}
	}
	for _, id := range []string{"../x", "a/b", "", strings.Repeat("x", 100)} {
		if _, err := b.Task.Exec(b.Ctx, id, command("/exit.wasm"), cio.NullIO); !errdefs.IsInvalidArgument(err) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	// An exit with this id would be taken for the container's.
	if _, err := b.Task.Exec(b.Ctx, b.ID(), command("/exit.wasm"), cio.NullIO); !errdefs.IsAlreadyExists(err) {
		t.Errorf("the container's id: %v", err)
	}
}

func (e *process) expectStatus(t *testing.T, want containerd.ProcessStatus) {
	t.Helper()
	if got, err := e.Status(e.b.Ctx); err != nil || got.Status != want {
		t.Errorf("the exec is %s (%v), want %s", got.Status, err, want)
	}
}

func TestExecTransitions(t *testing.T) {
	b := sleeper(t, shared(t))
	expectClass := func(what string, err error, is func(error) bool) {
		t.Helper()
		if !is(err) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
	e, err := b.addExec(t, command("/sleep.wasm"), nil)
	if err != nil {
		t.Fatal(err)
	}
	e.expectStatus(t, containerd.Created)
	_, err = b.Task.Exec(b.Ctx, e.ID(), command("/exit.wasm"), cio.NullIO)
	expectClass("its id again", err, errdefs.IsAlreadyExists)
	if err := e.Start(b.Ctx); err != nil {
		t.Fatal(err)
	}
	e.expectStatus(t, containerd.Running)
	// A start that fails ends what the client does for its output.
	daemon.Eventually(t, "the exec's output", func() error {
		if got := e.stdout.String(); got != "sleeping\n" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	expectClass("a second start", e.Start(b.Ctx), errdefs.IsFailedPrecondition)
	_, err = e.Delete(b.Ctx)
	expectClass("deleting one that runs", err, errdefs.IsFailedPrecondition)
	if err := e.Resize(b.Ctx, 80, 24); err != nil { // as with runc's shim
		t.Errorf("resizing what is no terminal: %v", err)
	}
	b.checkPids(t, e)
	if err := e.Kill(b.Ctx, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	expect(t, e.wait(t), 143, "sleeping\n")
	e.expectStatus(t, containerd.Stopped)
	expectClass("killing one that is over", e.Kill(b.Ctx, syscall.SIGKILL), errdefs.IsNotFound)
	expectClass("starting one that is over", e.Start(b.Ctx), errdefs.IsFailedPrecondition)
	if _, err := e.Delete(b.Ctx); err != nil {
		t.Error(err)
	}
	_, err = e.Status(b.Ctx)
	expectClass("the status of one that is deleted", err, errdefs.IsNotFound)

	if e, err = b.addExec(t, command("/sleep.wasm"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Delete(b.Ctx); err != nil {
		t.Errorf("deleting one that was never started: %v", err)
	}
	b.expectStatus(t, containerd.Running)

	// What is not there, or not yet, or not any more, has no execs.
	created := create(t, b.Daemon, job{image: "sleep"})
	_, err = created.Task.Exec(b.Ctx, "early", command("/sleep.wasm"), cio.NullIO)
	expectClass("in a task that was not started", err, errdefs.IsFailedPrecondition)
	b.kill(t, syscall.SIGKILL)
	b.wait(t)
	_, err = b.Task.Exec(b.Ctx, "late", command("/sleep.wasm"), cio.NullIO)
	expectClass("in a task that has ended", err, errdefs.IsFailedPrecondition)
}

// checkPids expects the task and one exec.
func (b *box) checkPids(t *testing.T, e *process) {
	t.Helper()
	pids, err := b.Task.Pids(b.Ctx)
	if err != nil || len(pids) != 2 || pids[0].Pid != b.Task.Pid() || pids[1].Pid != e.Pid() {
		t.Fatalf("pids %v (%v), want %d and %d", pids, err, b.Task.Pid(), e.Pid())
	}
	info, err := typeurl.UnmarshalAny(pids[1].Info)
	if details, ok := info.(*options.ProcessDetails); err != nil || !ok || details.ExecID != e.ID() {
		t.Errorf("details of the exec: %v (%v)", info, err)
	}
}

func TestExecEvents(t *testing.T) {
	d := shared(t)
	b := sleeper(t, d)
	ctx, cancel := context.WithTimeout(b.Ctx, daemon.Patience)
	defer cancel()
	stream, errs := d.Client().Subscribe(ctx, fmt.Sprintf("namespace==%s,topic~=^/tasks/", d.Name))
	// The subscription is there when it has an event.
	daemon.Eventually(t, "an event", func() error {
		if err := errors.Join(b.Task.Pause(b.Ctx), b.Task.Resume(b.Ctx)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-stream:
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.New("none")
		}
	})
	unstarted, err := b.Task.Exec(b.Ctx, newID(), command("/sleep.wasm"), cio.NullIO)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unstarted.Delete(b.Ctx); err != nil {
		t.Error(err)
	}
	one := b.exec(t, command("/exit.wasm", "7"), nil)
	one.wait(t)
	two := b.exec(t, command("/spin.wasm"), nil)
	b.kill(t, syscall.SIGTERM)
	b.wait(t)
	want := []string{
		"added " + unstarted.ID(), // and no exit: it had no start
		"added " + one.ID(), "started " + one.ID(), "exit " + one.ID() + " 7",
		"added " + two.ID(), "started " + two.ID(), "exit " + two.ID() + " 137",
		"exit " + b.ID() + " 143",
	}
	var got []string
	for len(got) < len(want) {
		select {
		case e := <-stream:
			event, err := typeurl.UnmarshalAny(e.Event)
			if err != nil {
				t.Fatal(err)
			}
			if what := describeExec(t, event, b, one, two); what != "" {
				got = append(got, what)
			}
		case err := <-errs:
			t.Fatalf("after %q: %v", got, err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

func describeExec(t *testing.T, event any, b *box, execs ...*process) string {
	t.Helper()
	pids := map[string]uint32{b.ID(): b.Task.Pid()}
	for _, e := range execs {
		pids[e.ID()] = e.Pid()
	}
	check := func(ok bool) {
		t.Helper()
		if !ok {
			t.Errorf("%T: %+v", event, event)
		}
	}
	switch e := event.(type) {
	case *events.TaskPaused, *events.TaskResumed:
		return ""
	case *events.TaskExecAdded:
		check(e.ContainerID == b.ID())
		return "added " + e.ExecID
	case *events.TaskExecStarted:
		check(e.ContainerID == b.ID() && e.Pid == pids[e.ExecID])
		return "started " + e.ExecID
	case *events.TaskExit:
		check(e.ContainerID == b.ID() && e.Pid == pids[e.ID] && time.Since(e.ExitedAt.AsTime()) < time.Minute)
		return fmt.Sprintf("exit %s %d", e.ID, e.ExitStatus)
	default:
		return fmt.Sprintf("%T", event)
	}
}

func TestCtrExec(t *testing.T) {
	d := shared(t)
	b := sleeper(t, d)
	args := []string{"tasks", "exec", "--fifo-dir", d.FIFODir(), "--exec-id"}
	expect(t, d.Ctr(t, append(args, "one", b.ID(), "/exit.wasm", "5")...), 5, "")
	expect(t, d.CtrWithInput(t, "some\ntext\n", append(args, "two", b.ID(), "/echo.wasm")...), 0, "some\ntext\n")
	if out := d.Ctr(t, append(args, "three", b.ID(), "sh")...); out.Code == 0 || !strings.Contains(out.Stderr, "modules in it: /cat.wasm") {
		t.Errorf("sh: %+v", out)
	}
}
