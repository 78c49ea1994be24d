// SPDX-License-Identifier: Apache-2.0

// Command hello-go prints its arguments and one environment variable, and the
// file that -file names.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	file := flag.String("file", "", "a file to print")
	flag.Parse()
	fmt.Printf("hello from Go, args %q, NAME=%q\n", flag.Args(), os.Getenv("NAME"))
	if *file == "" {
		return
	}
	content, err := os.ReadFile(*file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(content)
}
