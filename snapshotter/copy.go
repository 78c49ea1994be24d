// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// smallFile is the size in bytes up to which read and write are faster
	// than the set-up of copy_file_range.
	smallFile = 64 << 10
	// copyChunk is how much is copied between two looks at the context.
	copyChunk = 16 << 20
)

var copyBuffers = sync.Pool{New: func() any { return new([smallFile]byte) }}

// copier copies file contents by the cheapest means that the file system has.
type copier struct {
	// noReflink is set once the file system has said that it cannot reflink.
	noReflink atomic.Bool
}

// contents copies size bytes of in to out, which is empty. Holes stay holes.
func (c *copier) contents(ctx context.Context, out, in int, st *unix.Stat_t) error {
	switch {
	case st.Size == 0:
		return nil
	case c.reflink(out, in):
		return nil
	case st.Size <= smallFile && st.Blocks*blockUnit >= st.Size:
		return copyByHand(out, in, 0, st.Size)
	default:
		return copyData(ctx, out, in, st.Size)
	}
}

// reflink shares in's blocks with out. Whatever the failure, nothing is lost by
// copying instead: if there is a reason to give up, the copy meets it as well.
func (c *copier) reflink(out, in int) bool {
	if c.noReflink.Load() {
		return false
	}
	err := retry(func() error { return unix.IoctlFileClone(out, in) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENOSYS) {
		c.noReflink.Store(true)
	}
	return err == nil
}

// copyData copies the parts of in which are not holes, and sets out's size.
func copyData(ctx context.Context, out, in int, size int64) error {
	var end int64
	for end < size {
		start, err := unix.Seek(in, end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole is left
		}
		if err != nil {
			start = end // the file system cannot tell: all is data
		}
		if end, err = unix.Seek(in, start, unix.SEEK_HOLE); err != nil || end > size {
			end = size
		}
		for at := start; at < end; at += copyChunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := copyRange(out, in, at, min(at+copyChunk, end)); err != nil {
				return err
			}
		}
	}
	return retry(func() error { return unix.Ftruncate(out, size) })
}

// copyRange copies the bytes from start to end to the same place.
func copyRange(out, in int, start, end int64) error {
	to := start
	for start < end {
		n, err := unix.CopyFileRange(in, &start, out, &to, int(end-start), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EIO):
			return err
		case err != nil, n == 0:
			// Not every file system implements it, and some only pretend to.
			return copyByHand(out, in, start, end)
		}
	}
	return nil
}

func copyByHand(out, in int, start, end int64) error {
	buf := copyBuffers.Get().(*[smallFile]byte)
	defer copyBuffers.Put(buf)
	for start < end {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(in, buf[:min(end-start, smallFile)], start)
			return err
		})
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("read at %d of %d bytes: %w", start, end, io.ErrUnexpectedEOF)
		}
		for chunk := buf[:n]; len(chunk) > 0; {
			err := retry(func() (err error) {
				n, err = unix.Pwrite(out, chunk, start)
				return err
			})
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
			chunk = chunk[n:]
			start += int64(n)
		}
	}
	return nil
}
