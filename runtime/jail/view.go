// SPDX-License-Identifier: Apache-2.0

package jail

// #include "jail.h"
import "C"

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// View holds open what a guest sees: its root, its mounts, its network. It does
// not keep the guest.
type View struct {
	guest *Guest
	files [viewFiles]*os.File
}

// Files of a View.
const (
	viewRoot = iota
	viewMounts
	viewNetwork
	viewFiles
)

// View opens what the guest sees. The caller closes it.
//
// Errors: FailedPrecondition: the guest is over.
func (g *Guest) View() (*View, error) {
	v := &View{guest: g}
	for i, file := range []struct {
		name  string
		flags int
	}{
		viewRoot:    {"root", unix.O_PATH | unix.O_DIRECTORY},
		viewMounts:  {"ns/mnt", unix.O_RDONLY},
		viewNetwork: {"ns/net", unix.O_RDONLY},
	} {
		path := fmt.Sprintf("/proc/self/task/%d/%s", g.tid, file.name)
		fd, err := unix.Open(path, file.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			v.Close()
			return nil, fmt.Errorf("opening what the guest sees: %w: %w", err, errDone)
		}
		v.files[i] = os.NewFile(uintptr(fd), path)
	}
	// If the thread is gone, its number may be another's by now, and what was
	// opened the daemon's own.
	there := false
	g.withC(func(c *C.struct_jail) { there = C.jail_is_there(c) != 0 })
	if !there {
		v.Close()
		return nil, errDone
	}
	return v, nil
}

// Root is a path by which this process reaches the guest's root.
func (v *View) Root() string { return v.path(viewRoot) }

func (v *View) path(i int) string { return fmt.Sprintf("/proc/self/fd/%d", v.files[i].Fd()) }

// Close gives the files up. A guest that was made with them keeps what it sees.
func (v *View) Close() {
	for _, f := range v.files {
		f.Close() // of a nil File, an error
	}
}
