// SPDX-License-Identifier: Apache-2.0

// Package critest makes the images that critest, CRI's conformance tests, pulls, and
// compares what it reports about several daemons. The command that runs it is
// test/cmd/critest.
package critest

import (
	"archive/tar"
	"bytes"
	"maps"
	"slices"
	"strings"
)

// file is one of an image's. All are root's.
type file struct {
	mode    int64 // permission bits, set-user-ID and sticky bit, as tar has them
	content []byte
	link    string // the path of a file of which this is a hard link, or empty
}

// tree is the content of an image by path without the leading slash. The path of a
// directory ends in a slash.
type tree map[string]file

// with returns t and more.
func (t tree) with(more tree) tree {
	all := maps.Clone(t)
	maps.Copy(all, more)
	return all
}

// tar packs the tree, in the same way every time: directories before what is in them,
// and hard links after what they are links of.
func (t tree) tar() ([]byte, error) {
	names := slices.Sorted(maps.Keys(t))
	slices.SortStableFunc(names, func(a, b string) int { return isLink(t[a]) - isLink(t[b]) })
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range names {
		f := t[name]
		header := &tar.Header{Name: name, Mode: f.mode, Typeflag: tar.TypeReg, Size: int64(len(f.content))}
		switch {
		case f.link != "":
			header.Typeflag, header.Linkname = tar.TypeLink, f.link
		case strings.HasSuffix(name, "/"):
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func isLink(f file) int {
	if f.link != "" {
		return 1
	}
	return 0
}
