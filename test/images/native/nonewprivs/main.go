// SPDX-License-Identifier: Apache-2.0

// Command nonewprivs tells as whom it runs, which is its file's owner where that
// file is set-user-ID and counts.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Printf("Effective uid: %d\n", os.Geteuid())
}
