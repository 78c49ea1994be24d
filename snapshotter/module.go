// SPDX-License-Identifier: Apache-2.0

package snapshotter

import "golang.org/x/sys/unix"

const (
	// moduleMagic are the first bytes of a WebAssembly module or component.
	moduleMagic = "\x00asm"
	// moduleMode is the mode of each module in a committed tree.
	moduleMode = 0o444
)

// isModule reports whether the open file starts with moduleMagic and is a
// regular file still.
func isModule(fd int) (bool, error) {
	var magic [len(moduleMagic)]byte
	var n int
	err := retry(func() (err error) {
		n, err = unix.Pread(fd, magic[:], 0)
		return err
	})
	if err != nil || n != len(magic) || string(magic[:]) != moduleMagic {
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
	return fileType(st) == unix.S_IFREG && st.Size >= int64(len(moduleMagic))
}
