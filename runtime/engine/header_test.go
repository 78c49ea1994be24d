// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

func TestHeaderRoundTrip(t *testing.T) {
	h := header{Size: 1 << 40, Digest: sha256.Sum256(nil), Counts: binary.Counts{Types: 1, CompiledBytes: 2}}
	b := h.encode()
	if len(b) != headerSize {
		t.Errorf("%d bytes, not %d", len(b), headerSize)
	}
	if got, err := decodeHeader(append(b, "code"...)); err != nil || got != h {
		t.Errorf("got %+v, %v", got, err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if got, err := decodeHeader(bad); err == nil || got != (header{}) {
			t.Errorf("byte %d changed: %+v, %v", i, got, err)
		}
	}
	if _, err := decodeHeader(b[:headerSize-1]); err == nil {
		t.Error("accepted less than a header")
	}
}

// What is accepted is exactly what encode makes.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, headerSize))
	f.Add(recordOf([]byte("code")).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err == nil && !bytes.HasPrefix(b, h.encode()) || err != nil && h != (header{}) {
			t.Errorf("%x was decoded as %+v, %v", b, h, err)
		}
	})
}
