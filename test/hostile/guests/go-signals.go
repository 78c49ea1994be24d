// SPDX-License-Identifier: Apache-2.0
// Recovers from a thousand nil dereferences, and then waits for itself.
//
// exit: 2
// stderr: recovered 1000
// stderr: deadlock

//go:build ignore

package main

func dereference(p *int) (ok bool) {
	defer func() { ok = recover() != nil }()
	return *p == 1
}

func main() {
	n := 0
	for range 1000 {
		if dereference(nil) {
			n++
		}
	}
	println("recovered", n)
	<-make(chan bool)
}
