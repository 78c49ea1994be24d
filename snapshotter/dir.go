// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// inode identifies a file on this host while something refers to it.
type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{dev: uint64(st.Dev), ino: st.Ino} }

func fileType(st *unix.Stat_t) uint32 { return st.Mode & unix.S_IFMT }

func permissions(st *unix.Stat_t) uint32 { return st.Mode & 0o7777 }

// openDir opens the directory name in dirfd. It follows no symlink and enters
// no mount point (EXDEV), not even one of the same file system: deleting a tree
// must never reach what somebody mounted into it. Needs Linux 5.6.
func openDir(dirfd int, name string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS,
	}
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat2(dirfd, name, &how)
		return err
	})
	return fd, err
}

// openRoot opens the directory at path, the root of a tree; only its last element
// must not be a symlink.
func openRoot(path string) (int, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// openFile opens name in dirfd for reading. The caller has seen that it is a
// regular file; O_NONBLOCK keeps the call from hanging if it is a FIFO by now.
func openFile(dirfd int, name string) (int, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func statAt(dirfd int, name string, st *unix.Stat_t) error {
	return retry(func() error { return unix.Fstatat(dirfd, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

func statFd(fd int, st *unix.Stat_t) error {
	return retry(func() error { return unix.Fstat(fd, st) })
}

var dirBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// eachName calls fn for each name in the directory fd, in the order of the file
// system, without holding more than a buffer of them. A directory that is deleted
// meanwhile has no more names.
func eachName(fd int, fn func(name string) error) error {
	buf := dirBuffers.Get().(*[16 << 10]byte)
	defer dirBuffers.Put(buf)
	var names []string
	for {
		var n int
		err := retry(func() (err error) {
			n, err = unix.ReadDirent(fd, buf[:])
			return err
		})
		if errors.Is(err, unix.ENOENT) || err == nil && n == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read directory: %w", err)
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
	}
}

func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // system calls return bare errnos
			return err
		}
	}
}

// pathError names the file at path, which is relative to the tree's root, and
// gives the errno below err its class: ErrResourceExhausted for a full disk,
// quota or descriptor table, ErrNotFound for a tree that is gone, and
// ErrFailedPrecondition for a mount point.
func pathError(verb, path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT),
		errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s %q: %w: %w", verb, path, err, errdefs.ErrResourceExhausted)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%s %q: %w: %w", verb, path, err, errdefs.ErrNotFound)
	case errors.Is(err, unix.EXDEV):
		return fmt.Errorf("%s %q: something is mounted there: %w: %w", verb, path, err, errdefs.ErrFailedPrecondition)
	default:
		return fmt.Errorf("%s %q: %w", verb, path, err)
	}
}
