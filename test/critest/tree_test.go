// SPDX-License-Identifier: Apache-2.0

package critest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestTreeIsPackedInOrder(t *testing.T) {
	content, err := tree{
		"bin/ls":      {mode: 0o755, link: "bin/z"},
		"bin/z":       {mode: 0o4755, content: []byte("program")},
		"bin/":        {mode: 0o755},
		"usr/":        {mode: 0o755},
		"usr/bin/":    {mode: 0o755},
		"tmp/":        {mode: 0o1777},
		"usr/bin/top": {mode: 0o755, link: "bin/z"},
	}.tar()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name+" "+h.Linkname)
	}
	want := []string{
		"drwxr-xr-x bin/ ", "urwxr-xr-x bin/z ", "dtrwxrwxrwx tmp/ ", "drwxr-xr-x usr/ ", "drwxr-xr-x usr/bin/ ",
		"-rwxr-xr-x bin/ls bin/z", "-rwxr-xr-x usr/bin/top bin/z",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWithChangesNoOther(t *testing.T) {
	base := tree{"a": {mode: 1}, "b": {mode: 1}}
	if got := base.with(tree{"b": {mode: 2}}); got["b"].mode != 2 || got["a"].mode != 1 || base["b"].mode != 1 {
		t.Errorf("got %v, and the base is %v", got, base)
	}
}
