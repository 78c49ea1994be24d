// SPDX-License-Identifier: Apache-2.0
// Starts goroutines that never end until its memory is used up.
//
// exit: 137 oom
// memory: 64MiB
// stderr: out of memory

//go:build ignore

package main

func main() {
	for {
		go func() {
			b := make([]byte, 1<<16)
			for i := range b {
				b[i] = 1
			}
			<-make(chan bool)
			_ = b
		}()
	}
}
