// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxFree bounds the groups that are kept when many guests end. Each takes
// some kilobytes of the kernel for every CPU.
const maxFree = 64

// dir is one group that is used by one guest after the other.
type dir struct {
	path string
	v2   bool
	is   settings // what its files say
	bad  bool     // a write has failed, and is may be wrong
}

// set makes the group's files say s. After an error it must not be used again.
func (d *dir) set(s settings) error {
	for _, c := range s.changes(d.is, d.v2) {
		if err := write(filepath.Join(d.path, c.file), c.value); err != nil {
			d.bad = true
			return err
		}
	}
	d.is = s
	return nil
}

// with is d with settings s. After an error it is removed.
func (d *dir) with(s settings) (*dir, error) {
	if err := d.set(s); err != nil {
		return nil, errors.Join(err, remove(d.path))
	}
	return d, nil
}

// refill gives a group with a quota all of it again: the next guest must not
// wait because this one used it up.
func (d *dir) refill() error {
	if d.is.quota == noQuota {
		return nil
	}
	if d.v2 {
		return write(filepath.Join(d.path, "cpu.max"), d.is.max())
	}
	return write(filepath.Join(d.path, "cpu.cfs_quota_us"), strconv.FormatInt(d.is.quota, 10))
}

// pool keeps groups that are ready to be used: making and removing one takes
// longer than all else that a guest's start does here.
type pool struct {
	place place

	mu     sync.Mutex
	free   []*dir
	next   int  // the number of the next group
	making bool // a spare
}

// take returns a group with settings s. If that was the last free one, another
// is made in the background.
func (p *pool) take(s settings) (*dir, error) {
	d, empty := p.pick(s)
	if empty {
		go p.addSpare(s)
	}
	if d == nil {
		return p.make(s)
	}
	return d.with(s)
}

// pick prefers a group that needs no change. If it leaves none, and nobody
// makes one, empty tells the caller to do so.
func (p *pool) pick(s settings) (d *dir, empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		at := max(0, slices.IndexFunc(p.free, func(d *dir) bool { return d.is == s }))
		d = p.free[at]
		p.free = slices.Delete(p.free, at, at+1)
	}
	empty = len(p.free) == 0 && !p.making
	p.making = p.making || empty
	return d, empty
}

// addSpare makes a group for the next guest, which likely asks for the same.
func (p *pool) addSpare(s settings) {
	d, err := p.make(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making = false
	if err == nil { // or else the next guest sees the same, and can report it
		p.free = append(p.free, d)
	}
}

func (p *pool) make(s settings) (*dir, error) {
	for {
		path := filepath.Join(p.place.dir, strconv.Itoa(p.number()))
		err := p.place.mkdir(path)
		if errors.Is(err, fs.ErrExist) {
			continue // an earlier daemon's that could not be removed
		}
		if err != nil {
			return nil, err
		}
		return (&dir{path: path, v2: p.place.v2, is: defaults}).with(s)
	}
}

func (p *pool) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	return p.next - 1
}

// give takes a group back after its guest's thread has gone, and keeps it with
// settings s.
func (p *pool) give(d *dir, s settings) error {
	if !d.bad && d.set(s) == nil && d.refill() == nil && p.keep(d) {
		return nil
	}
	return remove(d.path)
}

func (p *pool) keep(d *dir) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) >= maxFree {
		return false
	}
	p.free = append(p.free, d)
	return true
}

// remove deletes groups. A thread that has been waited for may still be on its
// way out of its group.
func remove(paths ...string) error {
	var err error
	for delay := 100 * time.Microsecond; delay < time.Second; delay *= 2 {
		if paths, err = removeOnce(paths); err == nil {
			return nil
		}
		time.Sleep(delay)
	}
	return err
}

// removeOnce returns what is left, and why.
func removeOnce(paths []string) (left []string, err error) {
	for _, path := range paths {
		if e := unix.Rmdir(path); e != nil && !errors.Is(e, unix.ENOENT) {
			left = append(left, path)
			err = &os.PathError{Op: "rmdir", Path: path, Err: e}
		}
	}
	return left, err
}
