// SPDX-License-Identifier: Apache-2.0

// Command hello is the native counterpart of the Wasm hello programs.
package main

import "fmt"

func main() {
	fmt.Println("hello from a native process")
}
