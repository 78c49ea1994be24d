// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// ModuleMagic are the first bytes of a WebAssembly module or component.
const ModuleMagic = "\x00asm"

// moduleMode is the mode of each module in a committed tree.
const moduleMode = 0o444

// MayBeSealed reports whether a file of a committed tree, or of a clone of one, may be a
// module there: all of these are regular files of one mode. Its first bytes, ModuleMagic,
// decide.
func MayBeSealed(info fs.FileInfo) bool {
	return info.Mode() == moduleMode && info.Size() >= int64(len(ModuleMagic))
}

// isModule reports whether the open file starts with ModuleMagic and is a
// regular file still.
func isModule(fd int) (bool, error) {
	var magic [len(ModuleMagic)]byte
	var n int
	err := retry(func() (err error) {
		n, err = unix.Pread(fd, magic[:], 0)
		return err
	})
	if err != nil || n != len(magic) || string(magic[:]) != ModuleMagic {
		return false, err
	}
	var st unix.Stat_t
	if err := statFd(fd, &st); err != nil {
		return false, err
	}
	return fileType(&st) == unix.S_IFREG, nil
}

// mayBeModule reports whether the file's type and size allow it to be a module.
func mayBeModule(st *unix.Stat_t) bool {
	return fileType(st) == unix.S_IFREG && st.Size >= int64(len(ModuleMagic))
}
