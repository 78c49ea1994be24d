// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// It has more of its memory than there is.
package main

import "unsafe"

//go:noinline
func crash(at uintptr) byte { return *(*byte)(unsafe.Pointer(at)) }

func main() { println(crash(0xfffffff0)) }
