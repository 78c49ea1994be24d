// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/telemetry"
)

// loadEntrypoint finds the module that the command names and loads it, and
// fills in what the guest is called with. isSealed says whether nobody can
// change a file, which is what use.Sealed becomes.
//
// Errors: NotFound naming the path and which modules there are, or the function and
// which others there are; otherwise what is wrong with the module (engine.Load).
func (m *Manager) loadEntrypoint(ctx context.Context, use engine.Use, js *jail.Spec, p *specs.Process, isSealed func(*os.File) bool) (*engine.Module, error) {
	e, err := openEntrypoint(js, p)
	if err != nil {
		return nil, err
	}
	defer e.file.Close()
	ctx, end := telemetry.Stage(ctx, telemetry.StageLoad)
	use.Sealed = isSealed(e.file)
	module, err := m.engine.Load(ctx, e.file, use)
	end(err)
	if err != nil {
		return nil, err
	}
	initialize, err := module.Entry(e.function)
	if err != nil {
		module.Release()
		return nil, fmt.Errorf("module %q %w", filepath.Base(e.file.Name()), err)
	}
	js.Module, js.Entry, js.Args = module.AST(), e.function, e.args
	if initialize {
		js.Initialize = engine.Initializer
	}
	js.Describe = func(t jail.Trace) string { return module.Stack(t.Frames, t.More, t.Cut) }
	js.InitialMemory = module.Info().MemoryMin * jail.PageSize
	js.Overhead = threadBytes + module.Info().InstanceBytes()
	return module, nil
}

// threadBytes is what a guest's thread takes without being charged for more: the first
// 64 KiB of its stack (FIRST_STACK in package jail), its signal stack, and what the kernel
// has for it.
const threadBytes = 128 << 10

// entrypoint is what a command names:
//
//	/dir/app.wasm      a path
//	dir/app            one relative to the working directory; ".wasm" may be left out
//	app                a name in the working directory or the directories of PATH
//	/dir               the only module in that directory and below it
//	app.wasm#function  a function that it exports, where a command's is _start
type entrypoint struct {
	file     *os.File // a module, or whatever the path names; or a directory
	isDir    bool
	function string
	args     []string // that the guest gets
}

// openEntrypoint finds the module that the arguments begin with. Of a module that was
// found in a directory, the first argument of the guest is its path; otherwise it
// gets them as they are, also with a function, as with other runtimes of WebAssembly.
//
// Errors: NotFound naming the path and which modules there are; InvalidArgument.
func openEntrypoint(js *jail.Spec, p *specs.Process) (*entrypoint, error) {
	e, err := locateEntrypoint(js, p)
	if errors.Is(err, errNoFile) {
		// One class only: of two errors gRPC would repeat the second on a line of its own.
		return nil, fmt.Errorf("%s; %s: %w", err.Error(), describeModules(js), errdefs.ErrNotFound)
	}
	if err != nil || !e.isDir {
		return e, err
	}
	defer e.file.Close()
	file, err := onlyModule(js, e.file)
	if err != nil {
		return nil, fmt.Errorf("entrypoint %q: %w", p.Args[0], err)
	}
	arg := file.Name()
	if _, function, named := strings.Cut(p.Args[0], "#"); named {
		arg += "#" + function
	}
	return &entrypoint{file: file, function: e.function, args: append([]string{arg}, p.Args[1:]...)}, nil
}

// maxEntrypoint is the kernel's limit of a path (PATH_MAX).
const maxEntrypoint = 4096

// locateEntrypoint looks for args[0] as a shell would, and for a module that need not be
// executable. What is after the first # names a function, unless there is a file
// of the whole name. A directory is taken if there is no file, and if it is named by a
// path.
//
// Errors: errNoFile; InvalidArgument.
func locateEntrypoint(js *jail.Spec, p *specs.Process) (*entrypoint, error) {
	name := p.Args[0]
	if len(name) > maxEntrypoint {
		return nil, fmt.Errorf("the entrypoint has %d bytes, more than %d: %w", len(name), maxEntrypoint, errdefs.ErrInvalidArgument)
	}
	e := &entrypoint{function: engine.CommandEntry, args: p.Args}
	err := e.open(js, p, name)
	if module, function, named := strings.Cut(name, "#"); named && errors.Is(err, errNoFile) {
		if module == "" || function == "" {
			return nil, fmt.Errorf("entrypoint %q: before the # there is to be a module, and after it a function: %w", name, errdefs.ErrInvalidArgument)
		}
		e.function = function
		err = e.open(js, p, module)
	}
	if errors.Is(err, errNoFile) {
		return nil, fmt.Errorf("entrypoint %q: %w", name, err)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

var errNoFile = errors.New("no such file in the container")

// open opens what a name without a function stands for.
//
// Errors: errNoFile; InvalidArgument.
func (e *entrypoint) open(js *jail.Spec, p *specs.Process, name string) error {
	candidates, isPath, err := candidatesOf(name, p)
	if err != nil {
		return err
	}
	var dir *os.File
	for _, c := range candidates {
		f, err := openInGuest(js, c)
		switch {
		case isMissing(err):
		case err != nil:
			dir.Close()
			return err
		case !isDir(f):
			dir.Close()
			e.file = f
			return nil
		case isPath && dir == nil:
			dir = f
		default:
			f.Close()
		}
	}
	if dir == nil {
		return errNoFile
	}
	e.file, e.isDir = dir, true
	return nil
}

// maxDirs is far above what any image's PATH needs: each is looked in.
const maxDirs = 1000

// candidatesOf returns absolute paths in the container, and whether the name is a path,
// not one that is looked for in PATH.
func candidatesOf(name string, p *specs.Process) (candidates []string, isPath bool, err error) {
	here, elsewhere := pathsOf(name, p)
	if len(elsewhere) > maxDirs {
		return nil, false, fmt.Errorf("entrypoint %q: PATH has %d directories, more than %d: %w", name, len(elsewhere), maxDirs, errdefs.ErrInvalidArgument)
	}
	for _, file := range append([]string{here}, elsewhere...) {
		candidates = append(candidates, file, file+".wasm")
	}
	return candidates, elsewhere == nil, nil
}

// pathsOf returns what a command's name stands for as a path, absolute or relative to the
// working directory, and for one that is no path what it stands for in the directories of
// PATH.
func pathsOf(name string, p *specs.Process) (here string, elsewhere []string) {
	if path.IsAbs(name) {
		return path.Clean(name), nil
	}
	here = path.Join("/", p.Cwd, name)
	if strings.Contains(name, "/") || name == "." || name == ".." {
		return here, nil
	}
	elsewhere = []string{}
	for _, dir := range searchPath(p.Env) {
		elsewhere = append(elsewhere, path.Join("/", dir, name))
	}
	return here, elsewhere
}

func searchPath(env []string) []string {
	for _, e := range env {
		if list, ok := strings.CutPrefix(e, "PATH="); ok {
			return strings.Split(list, ":")
		}
	}
	return nil
}
