// SPDX-License-Identifier: Apache-2.0

// Command web is a guest on a network, by Go's net/http over WasmEdge's sockets:
//
//	web serve ADDRESS    answers HTTP with "hello from HOSTNAME"
//	web get URL N        writes the last of N answers
//	web echo ADDRESS     returns datagrams
//	web send ADDRESS TEXT
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	_ "github.com/stealthrocket/net/http" // http.DefaultTransport
	"github.com/stealthrocket/net/wasip1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "serve" {
		return serve(args[1])
	}
	if len(args) == 3 && args[0] == "get" {
		return get(args[1], args[2])
	}
	if len(args) == 2 && args[0] == "echo" {
		return echo(args[1])
	}
	if len(args) == 3 && args[0] == "send" {
		return send(args[1], args[2])
	}
	return fmt.Errorf("cannot do %q", args)
}

func serve(address string) error {
	l, err := wasip1.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	name := os.Getenv("HOSTNAME")
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s to %s", name, r.URL.Path)
	}))
}

func get(url, times string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	for i := range n {
		body, err := getOnce(url)
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		if i == n-1 {
			fmt.Printf("%s\n", body)
		}
	}
	return nil
}

func getOnce(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", r.Status)
	}
	return io.ReadAll(r.Body)
}

func echo(address string) error {
	conn, err := wasip1.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", conn.LocalAddr())
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(buf[:n], from); err != nil {
			return err
		}
	}
}

func send(address, text string) error {
	conn, err := wasip1.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", buf[:n])
	return nil
}
