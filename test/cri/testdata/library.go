// SPDX-License-Identifier: Apache-2.0

// A library (-buildmode=c-shared) in Go.
package main

import (
	"fmt"
	"os"
)

// probe prints a file of its working directory.
//
//go:wasmexport probe
func probe() int32 {
	dir, err := os.Getwd()
	if err != nil {
		return 1
	}
	text, err := os.ReadFile("hostname")
	if err != nil {
		return 2
	}
	fmt.Printf("%q in %s has %s", os.Args, dir, text)
	return 3
}

func main() {}
