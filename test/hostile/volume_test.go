// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// volume is a directory of the host that a guest has mounted, in a directory with
// something that it must not reach:
//
//	DIR/secret
//	DIR/volume/file, dir/file, dir/sub/file       with the text "inside"
//	DIR/volume/fifo, socket, null, disk           a FIFO, a socket, two devices
//	DIR/volume/absolute, up, etc, self, loop      symbolic links that lead out
type volume struct {
	dir    string
	mount  volumeMount
	socket net.Listener
	before map[string]string // what state says
}

const secret = "outside, a secret"

// makeVolume makes it in a new directory below parent, for remove to remove.
func makeVolume(parent string, m volumeMount) (_ *volume, err error) {
	dir, err := os.MkdirTemp(parent, "volume-")
	if err != nil {
		return nil, err
	}
	v := &volume{dir: dir, mount: m}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.remove())
		}
	}()
	if err := v.fill(); err != nil {
		return nil, fmt.Errorf("filling a volume: %w", err)
	}
	v.before, err = v.state()
	return v, err
}

func (v *volume) fill() (err error) {
	in := func(name string) string { return filepath.Join(v.dir, "volume", name) }
	var root unix.Stat_t
	return errors.Join(
		os.MkdirAll(in("dir/sub"), 0o777),
		os.WriteFile(filepath.Join(v.dir, "secret"), []byte(secret), 0o666),
		os.WriteFile(in("file"), []byte("inside"), 0o666),
		os.WriteFile(in("dir/file"), []byte("inside"), 0o666),
		os.WriteFile(in("dir/sub/file"), []byte("inside"), 0o666),
		unix.Mkfifo(in("fifo"), 0o666),
		v.listen(in("socket")),
		unix.Mknod(in("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Stat("/", &root),
		unix.Mknod(in("disk"), unix.S_IFBLK|0o666, int(root.Dev)), //nolint:gosec // a device number
		os.Symlink(filepath.Join(v.dir, "secret"), in("absolute")),
		os.Symlink("../secret", in("up")),
		os.Symlink("/etc", in("etc")),
		os.Symlink("/proc/self", in("self")),
		os.Symlink("loop", in("loop")),
		// Whoever the guest is, it is not the modes that hold it.
		os.Chmod(v.dir, 0o777), os.Chmod(in(""), 0o777), os.Chmod(in("dir"), 0o777), os.Chmod(in("dir/sub"), 0o777),
	)
}

func (v *volume) listen(path string) (err error) {
	v.socket, err = net.Listen("unix", path)
	return err
}

func (v *volume) spec() specs.Mount {
	options := []string{"rbind", "rw"}
	if v.mount.readonly {
		options[1] = "ro"
	}
	return specs.Mount{Type: "bind", Source: filepath.Join(v.dir, "volume"), Destination: v.mount.path, Options: options}
}

// check says what the guest changed that it must not.
func (v *volume) check() error {
	after, err := v.state()
	if err != nil {
		return err
	}
	// Everything in a volume that may be written to is the guest's to change.
	mine := func(path, _ string) bool {
		return !v.mount.readonly && (path == "volume" || strings.HasPrefix(path, "volume/"))
	}
	before := maps.Clone(v.before)
	maps.DeleteFunc(before, mine)
	maps.DeleteFunc(after, mine)
	for path, state := range after {
		if before[path] != state {
			err = errors.Join(err, fmt.Errorf("volume %s: %s was %q and is %q", v.mount.path, path, before[path], state))
		}
		delete(before, path)
	}
	if len(before) > 0 {
		err = errors.Join(err, fmt.Errorf("volume %s: %q are gone", v.mount.path, slices.Sorted(maps.Keys(before))))
	}
	return err
}

// state describes all files in v.dir, by name.
func (v *volume) state() (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(v.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name, err := filepath.Rel(v.dir, path)
		if err != nil {
			return err
		}
		var content [sha256.Size]byte
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = sha256.Sum256(b)
		}
		out[name] = fmt.Sprintf("mode %o, owner %d:%d, %d links, size %d, time %v, content %x",
			st.Mode, st.Uid, st.Gid, st.Nlink, st.Size, st.Mtim, content[:4])
		return nil
	})
	return out, err
}

func (v *volume) remove() error {
	if v.socket != nil {
		v.socket.Close()
	}
	return os.RemoveAll(v.dir)
}
