// SPDX-License-Identifier: Apache-2.0

// Command sleep sleeps for the duration given, or for ever.
package main

import (
	"fmt"
	"math"
	"os"
	"time"
)

func main() {
	d := time.Duration(math.MaxInt64)
	if len(os.Args) > 1 {
		var err error
		if d, err = time.ParseDuration(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	fmt.Println("sleeping")
	time.Sleep(d)
}
