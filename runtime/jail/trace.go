// SPDX-License-Identifier: Apache-2.0

package jail

// #include "jail.h"
import "C"

import "strings"

// Trace is where a guest was when it trapped.
type Trace struct {
	// Frames are where the functions begin that the guest was in, the innermost first:
	// bytes from where the executable part of its module's code is mapped. Some are
	// none of the module's own, but between these and the engine.
	Frames []uint64
	More   int  // functions that are not in Frames
	Cut    bool // there may be still more
}

// MaxDescription is how many bytes of Spec.Describe's answer are written.
const MaxDescription = 1400

// trapped answers a guest that waits for what to write about its trap.
func (g *Guest) trapped() {
	var t Trace
	g.withC(func(c *C.struct_jail) {
		from := C.jail_get_trace(c)
		for i := range min(int(from.n), len(from.frames)) {
			t.Frames = append(t.Frames, uint64(from.frames[i]))
		}
		t.More, t.Cut = int(from.more), from.cut != 0
	})
	text := g.describe(t)
	text = strings.ToValidUTF8(text[:min(len(text), MaxDescription)], "")
	o := &order{}
	defer o.free()
	text = strings.ReplaceAll(text, "\x00", "")
	to := o.str(text)
	g.withC(func(c *C.struct_jail) { C.jail_describe(c, to) })
}
