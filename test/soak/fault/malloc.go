// SPDX-License-Identifier: Apache-2.0

package fault

// #include <malloc.h>
import "C"

// allocated returns how many bytes of malloc's are in use: the engine's and the
// jails', and not the race detector's, which has its own.
func allocated() uint64 {
	info := C.mallinfo2() // glibc 2.33
	return uint64(info.uordblks) + uint64(info.hblkhd)
}
