// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"

	"github.com/containerd/containerd/v2/core/snapshots"
	"golang.org/x/sys/unix"
)

// blockUnit is the unit of st_blocks in bytes, whatever the file system's.
const blockUnit = 512

// tally adds up what the removal of a tree would free: a file counts only once
// all its names are found in the tree, so a module that is linked to the parent
// counts in the snapshot which brought it, and nowhere else.
type tally struct {
	usage snapshots.Usage
	links map[inode]uint64 // names found so far of files with several
}

func (t *tally) add(st *unix.Stat_t) {
	if fileType(st) != unix.S_IFDIR && st.Nlink > 1 {
		if t.links == nil {
			t.links = map[inode]uint64{}
		}
		id := inodeOf(st)
		t.links[id]++
		if t.links[id] != uint64(st.Nlink) {
			return
		}
	}
	t.usage.Inodes++
	t.usage.Size += st.Blocks * blockUnit
}

// treeUsage walks the tree at dir. Its time is proportional to the number of
// files; it ends early with ctx's error.
func treeUsage(ctx context.Context, dir string) (snapshots.Usage, error) {
	var t tally
	err := walkTree(ctx, dir, &t, func(*entry) error { return nil })
	return t.usage, err
}

// walkTree visits the tree at dir and counts it, with its root.
func walkTree(ctx context.Context, dir string, t *tally, visit func(*entry) error) error {
	root, err := openRoot(dir)
	if err != nil {
		return pathError("open tree", dir, err)
	}
	var st unix.Stat_t
	if err := statFd(root, &st); err != nil {
		unix.Close(root)
		return pathError("stat tree", dir, err)
	}
	t.add(&st)
	w := walker{visit: func(e *entry) error {
		t.add(&e.Stat_t)
		return visit(e)
	}}
	return w.walk(ctx, root)
}
