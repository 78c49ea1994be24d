// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	stdbinary "encoding/binary"
	"errors"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// A header stands before the code in an artefact: its name, and the child's record
// of what it wrote and loaded. In the artefact it is cacheMagic; its fields in this
// order, each number 8 bytes, little-endian; and the sha256 of all that.
type header struct {
	Key    Key    `json:"-"` // so that an artefact under another's name is not taken for it
	Salt   uint64 `json:"-"` // so that what replaces a damaged artefact has another digest
	Size   uint64 // bytes of code
	Digest [sha256.Size]byte
	Counts binary.Counts

	// Of the names of functions, which stand behind the code (binary.FunctionNames).
	NamesSize   uint64            `json:"-"`
	NamesDigest [sha256.Size]byte `json:"-"`
}

const cacheMagic = "wasmart\x04"

var headerSize = len(cacheMagic) + stdbinary.Size(header{}) + sha256.Size

func (h header) encode() []byte {
	b, err := stdbinary.Append([]byte(cacheMagic), stdbinary.LittleEndian, h)
	if err != nil {
		panic(err) // every field has a fixed size
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeHeader decodes the header that b starts with.
func decodeHeader(b []byte) (h header, err error) {
	if len(b) < headerSize {
		return h, errors.New("artefact ends in its header")
	}
	if _, err := stdbinary.Decode(b[len(cacheMagic):], stdbinary.LittleEndian, &h); err != nil {
		return h, err
	}
	if !bytes.Equal(h.encode(), b[:headerSize]) {
		return header{}, errors.New("artefact's header does not match its checksum")
	}
	return h, nil
}
