// SPDX-License-Identifier: Apache-2.0

// Command sidecar is what a Linux container beside guests does:
//
//	sidecar exit CODE
//	sidecar write FILE TEXT
//	sidecar cat FILE
//	sidecar spoil FILE          changes all of it that there is to change
//	sidecar listen              sleeps; ends with code 7 on SIGTERM, and says so
//	sidecar ignore              sleeps, and ignores SIGTERM
//	sidecar answer ADDRESS      returns what one client sends, after "sidecar: "
//	sidecar ask ADDRESS TEXT    is such a client
package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(append(os.Args[1:], "", "", "")); err != nil {
		fmt.Fprintln(os.Stderr, "sidecar:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch args[0] {
	case "exit":
		code, err := strconv.Atoi(args[1])
		if err == nil {
			os.Exit(code)
		}
		return err
	case "write":
		return os.WriteFile(args[1], []byte(args[2]), 0o644)
	case "cat":
		text, err := os.ReadFile(args[1])
		fmt.Print(string(text))
		return err
	case "spoil":
		return spoil(args[1])
	case "listen":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		fmt.Println("running")
		fmt.Println(<-asked)
		os.Exit(7)
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("running")
		time.Sleep(math.MaxInt64)
	case "answer":
		return answer(args[1])
	case "ask":
		return ask(args[1], args[2])
	}
	return fmt.Errorf("cannot do %q", args)
}

func spoil(name string) error {
	return errors.Join(
		os.Chmod(name, 0o777),
		os.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)),
		os.Chown(name, 1234, 1234),
		os.Link(name, name+".link"),
		os.WriteFile(name, []byte("spoiled"), 0o777),
	)
}

func answer(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "sidecar: %s", buf[:n])
	return err
}

func ask(address, text string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	reply, err := io.ReadAll(conn)
	fmt.Print(string(reply))
	return err
}
