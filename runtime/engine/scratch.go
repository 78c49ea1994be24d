// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// scratch is the file system that a compiler child has as its root: in memory,
// of a bounded size and number of files, and mounted nowhere. So nothing is
// left of it once the child and this process's descriptor are gone, whichever
// way they went.
type scratch struct {
	root *os.File
}

// maxScratchFiles bounds the files of one child. It makes five: names, WasmEdge's object,
// the linked one, the linker's temporary copy of that, and the result.
const maxScratchFiles = 16

// newScratch makes an empty file system of at most size bytes, which belongs to
// the child's user and group. It takes memory only for what is written. Linux 5.2.
func newScratch(size int64, user uint32) (*scratch, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	for _, option := range [][2]string{
		{"size", strconv.FormatInt(size, 10)},
		{"nr_inodes", strconv.Itoa(maxScratchFiles + 1)}, // the root is one
		{"mode", "0700"},
		{"uid", fmt.Sprint(user)},
		{"gid", fmt.Sprint(user)},
	} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return nil, fmt.Errorf("tmpfs %s=%s: %w", option[0], option[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("tmpfs: %w", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsmount: %w", err)
	}
	return &scratch{os.NewFile(uintptr(root), "scratch")}, nil
}

// path names the root for this process, and for one that it starts.
func (s *scratch) path() string { return fmt.Sprintf("/proc/self/fd/%d", s.root.Fd()) }

func (s *scratch) close() { s.root.Close() }

// full says whether there is no room for another page.
func (s *scratch) full() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(s.root.Fd()), &st) == nil && st.Bavail == 0
}

// open opens a child's result. The child is gone, but may have left anything
// under that name.
func (s *scratch) open(name string) (*os.File, error) {
	fd, err := unix.Openat(int(s.root.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the compiler's result: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("the compiler's result is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readNames reads the names of functions that a child has found. They are not looked at
// before somebody wants to read them. A child may leave none.
func (s *scratch) readNames() ([]byte, error) {
	f, err := s.open(namesName)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	table, err := io.ReadAll(io.LimitReader(f, binary.MaxNames+1))
	if err == nil && len(table) > binary.MaxNames {
		err = errOtherCode
	}
	return table, err
}
