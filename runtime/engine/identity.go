// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// FileID stands for a file's content as long as the kernel's clock has moved on
// since its last change: every write, and every attempt to hide one by setting
// the mtime back, sets the ctime to the present.
//
// Of a sealed file, the ctime says nothing: each new hard link sets it. Its
// inode cannot be written, but after its removal the number may be that of a
// file made later.
type FileID struct {
	Dev, Ino     uint64
	Size         int64
	Mtime        unix.StatxTimestamp
	Ctime, Btime unix.StatxTimestamp // one of them is zero
}

const (
	// settle is several ticks of the slowest clock (10 ms) that kernels take
	// file times from. A file that changed this recently may change again
	// without a new ctime.
	settle = 50 * time.Millisecond
	// settleCoarse is for file systems that keep whole seconds, or pairs.
	settleCoarse = 5 * time.Second
)

// identify returns the file's identity, and whether it may be remembered. The
// file must be a regular one of at most max bytes.
func identify(f *os.File, max int64, sealed bool) (id FileID, settled bool, err error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		return id, false, fmt.Errorf("cannot be read: %w: %w", err, errdefs.ErrUnavailable)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return id, false, fmt.Errorf("is not a regular file: %w", errdefs.ErrInvalidArgument)
	}
	if st.Size > uint64(max) {
		return id, false, errTooLarge(int64(st.Size), max)
	}
	id = FileID{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Size: int64(st.Size), Mtime: st.Mtime}
	if sealed && st.Mask&unix.STATX_BTIME != 0 {
		id.Btime = st.Btime
		return id, true, nil
	}
	id.Ctime = st.Ctime
	age := time.Since(time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)))
	if st.Ctime.Nsec == 0 && st.Mtime.Nsec == 0 {
		return id, age > settleCoarse, nil
	}
	return id, age > settle, nil
}

// errChanged means that a file did not have the bytes any more that its digest
// was taken from.
var errChanged = errors.New("changed while it was read")

// changedRetries is how often a load starts over because of errChanged.
const changedRetries = 3

func (e *Engine) loadFile(ctx context.Context, f *os.File, use Use) (*Module, error) {
	namespace, _ := namespaces.Namespace(ctx)
	q := request{store: e.cfg.Store, name: f.Name(), namespace: namespace, container: use.Container, tenant: namespace + "/" + use.Tenant}
	for range changedRetries {
		d, id, err := e.digestFile(f, use.Sealed)
		if err != nil {
			return nil, err
		}
		q.digest = d
		m, err := e.load(ctx, q, func() (source, error) {
			return newFileSource(f, e.cfg.MaxModuleSize)
		})
		if err == nil {
			var file FileID
			if use.Sealed {
				file = id
			}
			q.store.Use(ctx, use.Container, file, m.shared.rec)
		}
		if !errors.Is(err, errChanged) {
			return m, err
		}
	}
	return nil, fmt.Errorf("%w, again and again: %w", errChanged, errdefs.ErrUnavailable)
}

// digestFile returns the digest of f's bytes, without reading them if f has not
// changed since they were last read, and the file's identity. The answer only chooses which module to
// look for: what is compiled is hashed again from a private copy.
func (e *Engine) digestFile(f *os.File, sealed bool) (digest.Digest, FileID, error) {
	before, settled, err := identify(f, e.cfg.MaxModuleSize, sealed)
	if err != nil {
		return "", FileID{}, err
	}
	if d, ok := e.files.get(before); ok {
		return d, before, nil
	}
	d, err := hashFile(f, before.Size, e.cfg.MaxModuleSize)
	if err != nil {
		return "", FileID{}, err
	}
	e.counters.moduleReads.Add(1)
	after, _, err := identify(f, e.cfg.MaxModuleSize, sealed)
	if err != nil {
		return "", FileID{}, err
	}
	if settled && before == after {
		e.files.put(before, d)
	}
	return d, before, nil
}
