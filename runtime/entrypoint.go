// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
	"github.com/containerd-wasm/containerd-wasm/runtime/telemetry"
)

// entryFunction is what a WASI command exports (WASI application ABI).
const entryFunction = "_start"

// loadEntrypoint finds the module that the command names and loads it, and
// fills in what the guest is called with. isSealed says whether nobody can
// change a file.
//
// Errors: NotFound naming the path and which modules there are; otherwise what
// is wrong with the module (engine.Load).
func (m *Manager) loadEntrypoint(ctx context.Context, container string, js *jail.Spec, p *specs.Process, isSealed func(*os.File) bool) (*engine.Module, error) {
	f, err := openEntrypoint(js, p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ctx, end := telemetry.Stage(ctx, telemetry.StageLoad)
	module, err := m.engine.Load(ctx, f, engine.Use{Container: container, Sealed: isSealed(f)})
	end(err)
	if err != nil {
		return nil, err
	}
	js.Module, js.Entry, js.Args = module.AST(), entryFunction, p.Args
	js.InitialMemory = module.Info().MemoryMin * jail.PageSize
	js.Overhead = threadBytes + module.Info().InstanceBytes()
	return module, nil
}

// threadBytes is what a guest's thread takes of its stacks, and the kernel for it,
// before it runs.
const threadBytes = 64 << 10

// maxCandidates is far above what any image needs: each is looked up.
const maxCandidates = 1001

// openEntrypoint looks for args[0] as a shell would: a path, relative to the
// working directory if it is not absolute, or a name in the directories of
// PATH; each with ".wasm" added where there is no such file. It need not be
// executable.
func openEntrypoint(js *jail.Spec, p *specs.Process) (*os.File, error) {
	name := p.Args[0]
	var candidates []string
	switch {
	case path.IsAbs(name):
		candidates = []string{path.Clean(name)}
	case strings.Contains(name, "/"):
		candidates = []string{path.Join("/", p.Cwd, name)}
	default:
		candidates = []string{path.Join("/", p.Cwd, name)}
		for _, dir := range searchPath(p.Env) {
			candidates = append(candidates, path.Join("/", dir, name))
		}
		if len(candidates) > maxCandidates {
			return nil, fmt.Errorf("entrypoint %q: PATH has %d directories, more than %d: %w", name, len(candidates)-1, maxCandidates-1, errdefs.ErrInvalidArgument)
		}
	}
	for _, c := range candidates {
		for _, file := range []string{c, c + ".wasm"} {
			f, err := openInGuest(js, file)
			if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
				return f, err
			}
		}
	}
	return nil, fmt.Errorf("entrypoint %q: no such file in the container; %s: %w", name, describeModules(js), errdefs.ErrNotFound)
}

func searchPath(env []string) []string {
	for _, e := range env {
		if list, ok := strings.CutPrefix(e, "PATH="); ok {
			return strings.Split(list, ":")
		}
	}
	return nil
}

// openInGuest opens a regular file as the guest would see it: in the mount
// that covers the path, or the root. No symlink leads out of it.
func openInGuest(js *jail.Spec, name string) (*os.File, error) {
	root, rel := js.Rootfs, name
	if m, inside := covering(js.Mounts, name); m != nil {
		root, rel = m.Source, inside
	}
	if rel == "" {
		return openRegular(unix.AT_FDCWD, root, name, 0)
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	return openRegular(dir, rel, name, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

// covering finds the bind mount that a path is on, if any, and what of the
// path is inside.
func covering(mounts []jail.Mount, name string) (found *jail.Mount, inside string) {
	for i, m := range mounts {
		rest, ok := strings.CutPrefix(name, m.Target)
		if ok && m.Source != "" && (rest == "" || rest[0] == '/') && (found == nil || len(m.Target) > len(found.Target)) {
			found, inside = &mounts[i], rest
		}
	}
	return found, inside
}

// openRegular opens nothing but a regular file: a FIFO would make it wait, and
// a device can do anything.
func openRegular(dir int, name, display string, resolve uint64) (*os.File, error) {
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: display, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: display, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("entrypoint %q is not a regular file: %w", display, errdefs.ErrInvalidArgument)
	}
	opened, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: display, Err: err}
	}
	return os.NewFile(uintptr(opened), display), nil
}

// describeModules says which modules the root has, for an error message. It
// gives up on large images.
func describeModules(js *jail.Spec) string {
	const maxShown, maxVisited = 5, 10000
	root, err := os.OpenRoot(js.Rootfs)
	if err != nil {
		return "its root cannot be read"
	}
	defer root.Close()
	var found []string
	visited := 0
	_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if visited++; err != nil || visited > maxVisited || len(found) == maxShown {
			return fs.SkipAll
		}
		if d.Type().IsRegular() && isModule(root, name) {
			found = append(found, "/"+name)
		}
		return nil
	})
	if len(found) == 0 {
		return "it has no WebAssembly module"
	}
	return "modules in it: " + strings.Join(found, ", ")
}

func isModule(root *os.Root, name string) bool {
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return isModuleFile(f)
}
