// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// openInGuest opens a regular file or a directory as the guest would see it: in the
// mount that covers the path, or the root. No symlink leads out of it. name is an
// absolute, clean path, and becomes the file's.
//
// Errors: see isMissing; InvalidArgument: it is something else.
func openInGuest(js *jail.Spec, name string) (*os.File, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return nil, fmt.Errorf("entrypoint %q contains a NUL byte: %w", name, errdefs.ErrInvalidArgument)
	}
	root, rel := js.Rootfs, name
	if m, inside := covering(js.Mounts, name); m != nil {
		if m.Source == "" { // an empty tmpfs
			return nil, &fs.PathError{Op: "open", Path: name, Err: unix.ENOENT}
		}
		root, rel = m.Source, inside
	}
	if rel == "" {
		return openAt(unix.AT_FDCWD, root, name, 0)
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	return openAt(dir, rel, name, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

// isMissing says whether there is no file of the name, nor can be.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG)
}

// covering finds the mount that a path is on, if any, and what of the path is
// inside: a mount covers those before it, if they are on its target or below it.
func covering(mounts []jail.Mount, name string) (found *jail.Mount, inside string) {
	for i, m := range slices.Backward(mounts) {
		rest, ok := strings.CutPrefix(name, m.Target)
		if ok && (rest == "" || rest[0] == '/') {
			return &mounts[i], rest
		}
	}
	return nil, ""
}

// openAt opens nothing but regular files and directories: a FIFO would make it wait,
// and a device can do anything. display is the file's path in the container.
func openAt(dir int, name, display string, resolve uint64) (*os.File, error) {
	failed := func(err error) error {
		switch {
		case errors.Is(err, unix.ELOOP):
			err = fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
		case errors.Is(err, unix.EWOULDBLOCK):
			err = fmt.Errorf("another process has a lease on it: %w: %w", err, errdefs.ErrUnavailable)
		}
		return fmt.Errorf("entrypoint %q: %w", display, err)
	}
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve})
	if err != nil {
		return nil, failed(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, failed(err)
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return nil, fmt.Errorf("entrypoint %q is not a regular file: %w", display, errdefs.ErrInvalidArgument)
	}
	// Who has a lease on it (fcntl(2)) is not waited for.
	opened, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed(err)
	}
	return os.NewFile(uintptr(opened), display), nil
}

func isDir(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.IsDir()
}
