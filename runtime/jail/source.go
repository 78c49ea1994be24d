// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open has the source of a bind mount be what its path leads to now, wherever that leads
// later. The caller closes the file when New has returned.
//
// Errors name the path: NotFound; PermissionDenied; InvalidArgument: a part of it is no
// directory, or it cannot be one; ResourceExhausted.
func (m *Mount) Open() (*os.File, error) {
	// Not open(2), which would not have mounted what is mounted by a look at it (autofs).
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		var errno syscall.Errno
		errors.As(err, &errno)
		return nil, fmt.Errorf("source %q: %w: %w", m.Source, err, class(errno))
	}
	m.Name, m.Source = m.Source, fmt.Sprintf("/proc/self/fd/%d", fd)
	return os.NewFile(uintptr(fd), m.Name), nil
}
