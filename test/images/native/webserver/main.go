// SPDX-License-Identifier: Apache-2.0

// Command webserver answers every request with its own name. It writes its pid to
// /var/run/NAME.pid, and a line that has its name to standard output.
//
//	NAME PORT [WHAT THE PROCESS IS TO BE CALLED]
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

func main() {
	if err := serve(filepath.Base(os.Args[0]), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "webserver:", err)
		os.Exit(1)
	}
}

func serve(name, port string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	pid := filepath.Join("/var/run", name+".pid")
	if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: listening on port %s\n", name, port)
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, name)
	}))
}
