// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// walker visits each entry of a tree once, a directory before its contents.
//
// The depth of a tree is the guest's choice, so the walk neither recurses nor
// keeps a descriptor per level: it has one directory open and returns to the
// parent through "..", which it compares with the directory it came from. Files
// which vanish meanwhile are skipped; a directory that is moved meanwhile ends
// the walk with ErrUnavailable.
type walker struct {
	// visit gets each entry but the root; the stat is valid during the call.
	visit func(e *entry) error
	// leave, if set, gets each directory but the root after its contents.
	leave func(dirfd int, name string) error

	levels []level
	fd     int
	length int // of the current directory's path, in bytes
}

// level is a directory between the root and the current one.
type level struct {
	name string
	id   inode
	dirs []string // directories in it which are not visited yet
}

// entry is a file of the tree.
type entry struct {
	unix.Stat_t
	dirfd int
	name  string
	w     *walker
}

// path is relative to the root of the tree.
func (e *entry) path() string { return e.w.path(e.name) }

// path joins the current directory's path and name, for messages: it ends after
// maxPath bytes, as a guest can make it longer than anybody wants to read.
func (w *walker) path(name string) string {
	var b strings.Builder
	for _, l := range w.levels {
		if l.name != "" && b.Len() < maxPath {
			b.WriteString(l.name)
			b.WriteByte('/')
		}
	}
	b.WriteString(name)
	return b.String()[:min(b.Len(), maxPath)]
}

// walk visits the tree below the directory root, and closes root. It returns
// ctx's error when that ends.
func (w *walker) walk(ctx context.Context, root int) error {
	w.fd = root
	defer func() { unix.Close(w.fd) }()
	if err := w.scan(ctx, ""); err != nil {
		return err
	}
	for {
		top := &w.levels[len(w.levels)-1]
		if n := len(top.dirs); n > 0 {
			name := top.dirs[n-1]
			top.dirs = top.dirs[:n-1]
			if err := w.descend(ctx, name); err != nil {
				return err
			}
			continue
		}
		if len(w.levels) == 1 {
			return nil
		}
		if err := w.ascend(); err != nil {
			return err
		}
	}
}

// scan makes the open directory the current level and visits what is in it.
func (w *walker) scan(ctx context.Context, name string) error {
	e := entry{dirfd: w.fd, w: w}
	if err := statFd(w.fd, &e.Stat_t); err != nil {
		return pathError("stat", w.path(name), err)
	}
	w.levels = append(w.levels, level{name: name, id: inodeOf(&e.Stat_t)})
	w.length += len(name) + 1
	var dirs []string
	err := eachName(w.fd, func(name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.name = name
		if err := statAt(w.fd, name, &e.Stat_t); err != nil {
			if errors.Is(err, unix.ENOENT) {
				return nil
			}
			return pathError("stat", e.path(), err)
		}
		if fileType(&e.Stat_t) == unix.S_IFDIR {
			dirs = append(dirs, name)
		}
		return w.visit(&e)
	})
	w.levels[len(w.levels)-1].dirs = dirs
	return err
}

func (w *walker) descend(ctx context.Context, name string) error {
	fd, err := openDir(w.fd, name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	if err != nil {
		return pathError("open directory", w.path(name), err)
	}
	unix.Close(w.fd)
	w.fd = fd
	return w.scan(ctx, name)
}

func (w *walker) ascend() error {
	done, parent := w.levels[len(w.levels)-1], w.levels[len(w.levels)-2]
	fd, err := openDir(w.fd, "..")
	if err != nil {
		return pathError("open parent of", w.path(""), err)
	}
	unix.Close(w.fd)
	w.fd = fd
	var st unix.Stat_t
	if err := statFd(fd, &st); err != nil {
		return pathError("stat parent of", w.path(""), err)
	}
	if inodeOf(&st) != parent.id {
		return fmt.Errorf("directory %q was moved during the walk: %w", w.path(""), errdefs.ErrUnavailable)
	}
	w.levels = w.levels[:len(w.levels)-1]
	w.length -= len(done.name) + 1
	if w.leave == nil {
		return nil
	}
	return w.leave(fd, done.name)
}
