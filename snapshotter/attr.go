// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// node is a file whose attributes are read or written: an open one (fd), or one
// that cannot be opened, such as a symlink or a device, by its name in dirfd.
type node struct {
	fd    int // -1 if it is not open
	dirfd int
	name  string
}

// copyAttrs gives to the owner, extended attributes, mode and times of from,
// whose stat is st. The order matters: chown clears setuid bits and
// capabilities, and a file's contents and names must not change afterwards.
func copyAttrs(to, from node, st *unix.Stat_t) error {
	var have unix.Stat_t
	if err := to.stat(&have); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	chowned := have.Uid != st.Uid || have.Gid != st.Gid
	if chowned {
		if err := to.chown(int(st.Uid), int(st.Gid)); err != nil {
			return fmt.Errorf("chown: %w", err)
		}
	}
	if err := copyXattrs(to, from); err != nil {
		return err
	}
	// A symlink has no mode of its own.
	if fileType(st) != unix.S_IFLNK && (chowned || permissions(&have) != permissions(st)) {
		if err := to.chmod(permissions(st)); err != nil {
			return fmt.Errorf("chmod: %w", err)
		}
	}
	times := [2]unix.Timespec{st.Atim, st.Mtim}
	err := retry(func() error {
		return unix.UtimesNanoAt(to.dirfd, to.name, times[:], unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

func (n node) stat(st *unix.Stat_t) error {
	if n.fd >= 0 {
		return statFd(n.fd, st)
	}
	return statAt(n.dirfd, n.name, st)
}

func (n node) chown(uid, gid int) error {
	return retry(func() error {
		if n.fd >= 0 {
			return unix.Fchown(n.fd, uid, gid)
		}
		return unix.Fchownat(n.dirfd, n.name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// chmod must not be called on a symlink that is not open: it would follow it.
func (n node) chmod(mode uint32) error {
	return retry(func() error {
		if n.fd >= 0 {
			return unix.Fchmod(n.fd, mode)
		}
		return unix.Fchmodat(n.dirfd, n.name, mode, 0)
	})
}

// copyXattrs copies the extended attributes. Only those in the security
// namespace may be refused, as they depend on the host's security modules and
// on privileges; without them a file has less power, never more.
func copyXattrs(to, from node) error {
	names, err := readXattr(func(buf []byte) (int, error) { return from.listXattrs(buf) })
	if errors.Is(err, unix.EOPNOTSUPP) || err == nil && len(names) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list extended attributes: %w", err)
	}
	for raw := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		attr := string(raw)
		value, err := readXattr(func(buf []byte) (int, error) { return from.getXattr(attr, buf) })
		if err == nil {
			err = retry(func() error { return to.setXattr(attr, value) })
		}
		refused := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
		if err != nil && !(refused && strings.HasPrefix(attr, "security.")) {
			return fmt.Errorf("extended attribute %q: %w", attr, err)
		}
	}
	return nil
}

// readXattr calls read with a buffer that is large enough.
func readXattr(read func(buf []byte) (int, error)) ([]byte, error) {
	var buf [256]byte
	n, err := read(buf[:])
	if !errors.Is(err, unix.ERANGE) {
		return append([]byte(nil), buf[:max(n, 0)]...), err
	}
	large := make([]byte, 64<<10) // XATTR_SIZE_MAX and XATTR_LIST_MAX
	n, err = read(large)
	return large[:max(n, 0)], err
}

// path works for every type of file and follows no symlink at its end, with the
// calls below. It is the calling thread's table of descriptors that counts.
func (n node) path() string {
	return fmt.Sprintf("/proc/thread-self/fd/%d/%s", n.dirfd, n.name)
}

func (n node) listXattrs(buf []byte) (int, error) {
	if n.fd >= 0 {
		return unix.Flistxattr(n.fd, buf)
	}
	return unix.Llistxattr(n.path(), buf)
}

func (n node) getXattr(attr string, buf []byte) (int, error) {
	if n.fd >= 0 {
		return unix.Fgetxattr(n.fd, attr, buf)
	}
	return unix.Lgetxattr(n.path(), attr, buf)
}

func (n node) setXattr(attr string, value []byte) error {
	if n.fd >= 0 {
		return unix.Fsetxattr(n.fd, attr, value, 0)
	}
	return unix.Lsetxattr(n.path(), attr, value, 0)
}
