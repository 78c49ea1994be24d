// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// clone makes one private copy of a committed tree.
//
// It relies on the source being immutable and sealed (no path longer than
// maxPath), and on nobody else using the destination until it is complete.
type clone struct {
	*copier
	ctx         context.Context
	copyModules bool // do not share modules with the source

	root  int              // of the new tree
	links map[inode]string // paths in the new tree of sources with several names
}

// cloneTree fills the empty directory dst with a clone of the tree at src.
// Modules are hard links to those of src unless copyModules is set. On an error,
// which names the file, dst is left half filled for the caller to remove.
func cloneTree(ctx context.Context, c *copier, dst, src string, copyModules bool) error {
	from, err := openRoot(src)
	if err != nil {
		return pathError("open tree", src, err)
	}
	defer unix.Close(from)
	to, err := openRoot(dst)
	if err != nil {
		return pathError("open tree", dst, err)
	}
	defer unix.Close(to)

	t := clone{copier: c, ctx: ctx, copyModules: copyModules, root: to}
	if err := t.contentsOf(to, from, ""); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := statFd(from, &st); err != nil {
		return pathError("stat tree", src, err)
	}
	if err := copyAttrs(node{fd: to, dirfd: to, name: "."}, node{fd: from}, &st); err != nil {
		return pathError("clone", ".", err)
	}
	return nil
}

// contentsOf clones what is in the directory src, whose path in the tree is
// rel, into the directory dst.
func (t *clone) contentsOf(dst, src int, rel string) error {
	var st unix.Stat_t
	var dirs []string
	err := eachName(src, func(name string) error {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		err := statAt(src, name, &st)
		if err == nil && fileType(&st) == unix.S_IFDIR {
			dirs = append(dirs, name)
			return nil
		}
		if err == nil {
			err = t.file(dst, src, rel, name, &st)
		}
		if err != nil {
			return pathError("clone", path.Join(rel, name), err)
		}
		reach(pointCloned)
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range dirs {
		if err := t.dir(dst, src, rel, name); err != nil {
			return err
		}
	}
	return nil
}

// dir clones the directory name in src with all below it. Its attributes come
// last: its mode may forbid to add files, and its time would not survive that.
func (t *clone) dir(dst, src int, rel, name string) error {
	rel = path.Join(rel, name)
	from, err := openDir(src, name)
	if err != nil {
		return pathError("open directory", rel, err)
	}
	defer unix.Close(from)
	if err := retry(func() error { return unix.Mkdirat(dst, name, 0o700) }); err != nil {
		return pathError("make directory", rel, err)
	}
	to, err := openDir(dst, name)
	if err != nil {
		return pathError("open new directory", rel, err)
	}
	defer unix.Close(to)
	if err := t.contentsOf(to, from, rel); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := statFd(from, &st); err != nil {
		return pathError("stat", rel, err)
	}
	if err := copyAttrs(node{fd: to, dirfd: dst, name: name}, node{fd: from}, &st); err != nil {
		return pathError("clone", rel, err)
	}
	return nil
}

// file clones what is not a directory. Names which are one file in the source
// are one file in the clone.
func (t *clone) file(dst, src int, rel, name string, st *unix.Stat_t) error {
	if st.Nlink > 1 {
		if first, ok := t.links[inodeOf(st)]; ok {
			return retry(func() error { return unix.Linkat(t.root, first, dst, name, 0) })
		}
	}
	shared, err := t.newFile(dst, src, name, st)
	if err == nil && st.Nlink > 1 && !shared {
		if t.links == nil {
			t.links = map[inode]string{}
		}
		t.links[inodeOf(st)] = path.Join(rel, name)
	}
	return err
}

// newFile clones the first name of a file. It reports whether the clone is the
// source's inode.
func (t *clone) newFile(dst, src int, name string, st *unix.Stat_t) (shared bool, err error) {
	switch fileType(st) {
	case unix.S_IFREG:
		return t.regular(dst, src, name, st)
	case unix.S_IFLNK:
		var target [unix.PathMax]byte
		n, err := unix.Readlinkat(src, name, target[:])
		if err != nil {
			return false, fmt.Errorf("read symlink: %w", err)
		}
		if err := unix.Symlinkat(string(target[:n]), dst, name); err != nil {
			return false, fmt.Errorf("make symlink: %w", err)
		}
	case unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
		if err := unix.Mknodat(dst, name, fileType(st)|0o600, int(st.Rdev)); err != nil {
			return false, fmt.Errorf("make node: %w", err)
		}
	default:
		return false, fmt.Errorf("file type %#o: %w", fileType(st), errdefs.ErrNotImplemented)
	}
	return false, copyAttrs(node{fd: -1, dirfd: dst, name: name}, node{fd: -1, dirfd: src, name: name}, st)
}

// regular links a module and copies every other regular file. Sealed modules
// have moduleMode, but so may other files: the first bytes decide.
func (t *clone) regular(dst, src int, name string, st *unix.Stat_t) (shared bool, err error) {
	in, err := openFile(src, name)
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(in)
	if !t.copyModules && permissions(st) == moduleMode && mayBeModule(st) {
		module, err := isModule(in)
		if err != nil {
			return false, fmt.Errorf("read: %w", err)
		}
		if module {
			err := retry(func() error { return unix.Linkat(src, name, dst, name, 0) })
			if err == nil || !cannotLink(err) {
				return true, err
			}
		}
	}
	return false, t.copyFile(t.ctx, dst, name, in, st)
}

// cannotLink reports whether a copy can do what the link could not: the inode
// has as many names as the file system allows, or may have none but its own.
func cannotLink(err error) bool {
	return errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP)
}

// copyFile makes the regular file name in dst, a copy of the open file in.
func (c *copier) copyFile(ctx context.Context, dst int, name string, in int, st *unix.Stat_t) error {
	var out int
	err := retry(func() (err error) {
		out, err = unix.Openat(dst, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, st.Mode&0o777)
		return err
	})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	defer unix.Close(out)
	if err := c.contents(ctx, out, in, st); err != nil {
		return err
	}
	return copyAttrs(node{fd: out, dirfd: dst, name: name}, node{fd: in}, st)
}
