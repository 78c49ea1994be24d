// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// SharedModules returns the paths, relative to root, of the modules in the tree
// at root that other snapshots share: what no guest must be able to change. It
// looks for max+1 at most.
// Symlinks are not followed. An error names the file, or is ctx's.
func SharedModules(ctx context.Context, root string, max int) (paths []string, err error) {
	fd, err := openRoot(root)
	if err != nil {
		return nil, pathError("open tree", root, err)
	}
	w := walker{visit: func(e *entry) error {
		if e.Nlink < 2 || !mayBeModule(&e.Stat_t) {
			return nil
		}
		fd, err := openFile(e.dirfd, e.name)
		if err != nil {
			return pathError("open", e.path(), err)
		}
		defer unix.Close(fd)
		module, err := isModule(fd)
		if err != nil {
			return pathError("read", e.path(), err)
		}
		if module {
			paths = append(paths, e.path())
		}
		if len(paths) > max {
			return errEnough
		}
		return nil
	}}
	if err := w.walk(ctx, fd); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return paths, nil
}

// errEnough ends a walk that has found what it looked for.
var errEnough = errors.New("enough")

// Privatize gives the tree at root modules of its own: each regular file which
// begins with "\0asm" and has several names is replaced by a copy with the same
// owner, mode, times and extended attributes, a reflink where the file system
// can. Without read-only mounts, a guest may run on the tree only after this.
//
// No container may be running on the tree. Symlinks are not followed. Names of
// one module within the tree become separate files. An error names the file,
// has the class ErrResourceExhausted if the disk is full, or is ctx's, and leaves a
// tree that is complete but still shares modules. Only the attributes of files are read
// where there is nothing to do.
func Privatize(ctx context.Context, root string) error {
	fd, err := openRoot(root)
	if err != nil {
		return pathError("open tree", root, err)
	}
	var c copier
	w := walker{visit: func(e *entry) error {
		if e.Nlink < 2 || !mayBeModule(&e.Stat_t) {
			return nil
		}
		if err := c.privatize(ctx, e); err != nil {
			return pathError("copy shared module", e.path(), err)
		}
		return nil
	}}
	return w.walk(ctx, fd)
}

func (c *copier) privatize(ctx context.Context, e *entry) (err error) {
	in, err := openFile(e.dirfd, e.name)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	module, err := isModule(in)
	if err != nil || !module {
		return err
	}
	// The tree is the guest's: a name it cannot have guessed, and O_EXCL.
	temp := ".private-" + rand.Text()
	defer func() {
		if err != nil {
			_ = unlink(e.dirfd, temp, 0)
		}
	}()
	if err := c.copyFile(ctx, e.dirfd, temp, in, &e.Stat_t); err != nil {
		return err
	}
	if err := retry(func() error { return unix.Renameat(e.dirfd, temp, e.dirfd, e.name) }); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	return nil
}
