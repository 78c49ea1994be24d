// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/log"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// maxStack is how many bytes Stack returns at most. With the reason above it, that fits
// into what kubelet reads of a log for a termination message (2 KiB).
const maxStack = 1400

// maxNaming is for how many traps names are read at once.
const maxNaming = 2

// Stack tells in which functions a guest was, one a line, the innermost first:
//
//	at divide (func 12)
//	at func 15
//	... 3 more
//
// frames are where functions begin, as bytes from where the executable part of the native
// code is mapped; more is the number of those that are left out, and there may be still more if
// it is cut. Functions are counted as in the module's text form, with those that it
// imports. Names are read only now: where they cannot be, there are numbers.
func (m *Module) Stack(frames []uint64, more int, cut bool) string {
	indices := make([]uint32, 0, len(frames))
	for _, f := range frames {
		if i, ok := m.shared.code.Function(f); ok {
			indices = append(indices, uint32(i)+uint32(m.shared.info.Imports))
		}
	}
	if len(indices) == 0 {
		return ""
	}
	var names map[uint32]string
	table, err := m.names()
	if err == nil {
		names = binary.LookUpNames(table, indices)
	} else {
		log.L.WithError(err).WithField("module", m.Digest()).Debug("a trap without names of functions")
	}
	return stackText(indices, names, more, cut)
}

func stackText(functions []uint32, names map[uint32]string, more int, cut bool) string {
	const room = len("  ... at least 4294967295 more\n")
	var b strings.Builder
	for i, f := range functions {
		line := fmt.Sprintf("  at func %d\n", f)
		if name := names[f]; name != "" {
			line = fmt.Sprintf("  at %s (func %d)\n", clean(name, binary.MaxName), f)
		}
		if b.Len()+len(line) > maxStack-room {
			more += len(functions) - i
			break
		}
		b.WriteString(line)
	}
	switch {
	case cut && more == 0:
		b.WriteString("  ... more\n")
	case cut:
		fmt.Fprintf(&b, "  ... at least %d more\n", more)
	case more > 0:
		fmt.Fprintf(&b, "  ... %d more\n", more)
	}
	return b.String()
}

// names reads the table of names, which is kept behind the code.
func (m *Module) names() ([]byte, error) {
	h := m.shared.head
	if h.NamesSize == 0 {
		return nil, nil
	}
	e := m.engine
	select {
	case e.naming <- struct{}{}:
		defer func() { <-e.naming }()
	case <-e.ctx.Done():
		return nil, context.Cause(e.ctx)
	}
	blob, err := m.request.store.Open(e.in(m.request.namespace), m.shared.rec.Key)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	table := make([]byte, h.NamesSize)
	if _, err := blob.ReadAt(table, int64(headerSize)+int64(h.Size)); err != nil {
		return nil, err
	}
	// The blob may be another, made since then, or damaged.
	if sha256.Sum256(table) != h.NamesDigest {
		return nil, errors.New("the names do not match their checksum")
	}
	return table, nil
}
