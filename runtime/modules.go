// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// A search looks for modules in a directory of a container and below it, those that
// are near first. It follows no symlink, and does not look into what is mounted
// below.
type search struct {
	top     *os.File
	covered map[string]bool // paths in the container
	dirs    []string        // in top, that are to be read
	visited int
	found   []string // paths in top
	partial bool     // there is more than was looked at
}

// maxVisited bounds a search: files and directories, which take 10 to 30 us each.
const maxVisited = 10_000

// searchModules looks in a directory that openInGuest has opened.
func searchModules(js *jail.Spec, top *os.File) *search {
	s := &search{top: top, covered: make(map[string]bool), dirs: []string{"."}}
	for _, m := range js.Mounts {
		s.covered[m.Target] = true
	}
	for len(s.dirs) > 0 && s.visited < maxVisited {
		dir := s.dirs[0]
		s.dirs = s.dirs[1:]
		s.read(dir)
	}
	s.partial = s.partial || len(s.dirs) > 0
	slices.Sort(s.found)
	return s
}

const inside = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS

// read looks at what is in one directory.
func (s *search) read(dir string) {
	how := &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: inside | unix.RESOLVE_NO_XDEV}
	fd, err := unix.Openat2(int(s.top.Fd()), dir, how)
	if err != nil {
		// A mount, or what was replaced or removed at this moment, is no part of it.
		s.partial = s.partial || !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ENOENT)
		return
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	for {
		const batch = 256 // a directory may have millions
		names, err := f.Readdirnames(batch)
		for _, name := range names {
			if s.visited++; s.visited > maxVisited {
				s.partial = true
				return
			}
			s.visit(fd, path.Join(dir, name), name)
		}
		if err != nil {
			s.partial = s.partial || !errors.Is(err, io.EOF)
			return
		}
	}
}

// visit looks at one name in the directory that is open as parent.
func (s *search) visit(parent int, name, base string) {
	var st unix.Stat_t
	if s.covered[s.inContainer(name)] || unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		s.dirs = append(s.dirs, name)
	case unix.S_IFREG:
		f, err := openAt(parent, base, name, inside)
		if err != nil {
			return
		}
		defer f.Close()
		if isModuleFile(f) {
			s.found = append(s.found, name)
		}
	}
}

func (s *search) inContainer(name string) string { return path.Join(s.top.Name(), name) }

// list names the modules that were found, or some of them.
func (s *search) list() string {
	const most = 5
	var names []string
	for _, name := range s.found[:min(most, len(s.found))] {
		names = append(names, plain(s.inContainer(name)))
	}
	if more := len(s.found) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// plain is a path for an error message: as it is, unless somebody made it to garble
// that.
func plain(name string) string {
	const most = 200
	if quoted := strconv.Quote(name); len(name) > most || quoted != `"`+name+`"` {
		return fmt.Sprintf("%.*q", most, name)
	}
	return name
}

// onlyModule opens the module of a directory that has one.
//
// Errors, phrases that follow the directory's name: NotFound; InvalidArgument: it has
// several, or too many files.
func onlyModule(js *jail.Spec, top *os.File) (*os.File, error) {
	s := searchModules(js, top)
	switch {
	case len(s.found) > 1:
		return nil, fmt.Errorf("this directory has several WebAssembly modules, name one as the command: %s: %w", s.list(), errdefs.ErrInvalidArgument)
	case s.partial:
		return nil, fmt.Errorf("its only WebAssembly module cannot be found, name it as the command: this directory has more than %d files, or some that cannot be read: %w", maxVisited, errdefs.ErrInvalidArgument)
	case len(s.found) == 0:
		return nil, fmt.Errorf("this directory has no WebAssembly module: %w", errdefs.ErrNotFound)
	}
	return openAt(int(top.Fd()), s.found[0], s.inContainer(s.found[0]), inside)
}

// describeModules says which modules the root has, for an error message.
func describeModules(js *jail.Spec) string {
	root, err := openInGuest(js, "/")
	if err != nil {
		return "its root cannot be read"
	}
	defer root.Close()
	s := searchModules(js, root)
	switch {
	case len(s.found) > 0:
		return "modules in it: " + s.list()
	case s.partial:
		return fmt.Sprintf("no WebAssembly module is among the %d files that were looked at", s.visited)
	}
	return "it has no WebAssembly module"
}
