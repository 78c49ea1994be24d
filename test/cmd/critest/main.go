// SPDX-License-Identifier: Apache-2.0

// Command critest runs CRI's conformance tests on unmodified containerd and on
// containerd-wasm, one after the other, with the same flags and images, and compares
// what they report. It fails if containerd-wasm does worse. scripts/critest.sh runs it
// in namespaces of its own, which it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/critest"
	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

var (
	program  = flag.String("critest", "bin/critest", "the tests")
	upstream = flag.String("upstream", ".build/critest/containerd", "unmodified containerd")
	busybox  = flag.String("busybox", "", "a busybox with its libraries on this machine")
	focus    = flag.String("focus", "", "run only tests whose names this regular expression matches")
	handler  = flag.String("handler", "", "run the tests a third time, on containerd-wasm with this runtime handler, for information")
	output   = flag.String("o", ".build/critest", "the folder for reports and logs")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "critest:", err)
		os.Exit(1)
	}
}

// errWorse is what fails the comparison.
var errWorse = errors.New("tests that pass on unmodified containerd do not pass on containerd-wasm")

func run(ctx context.Context) error {
	registry := images.NewRegistry()
	defer registry.Close()
	fmt.Println("critest: building the images")
	if err := critest.Serve(ctx, registry, *busybox); err != nil {
		return err
	}
	base := subject{name: "containerd", registry: registry.Host, opts: []daemon.Option{daemon.WithProgram(*upstream)}}
	ours := subject{name: "containerd-wasm", registry: registry.Host}
	before, err := base.run(ctx, "", *focus)
	if err != nil {
		return err
	}
	after, err := ours.runAgainst(ctx, before)
	if err != nil {
		return err
	}
	columns := []critest.Column{{Name: base.name, Report: before}, {Name: ours.name, Report: after}}
	if *handler != "" {
		third := ours
		third.name, third.handler = ours.name+", handler "+*handler, *handler
		report, err := third.runAgainst(ctx, before)
		if err != nil {
			return err
		}
		columns = append(columns, critest.Column{Name: third.name, Report: report})
	}
	fmt.Println()
	critest.Print(os.Stdout, columns...)
	switch {
	case len(before) == 0:
		return errors.New("critest ran no test")
	case len(critest.Worse(before, after)) > 0:
		return errWorse
	}
	return nil
}

// runAgainst is run, which tries those tests once more that passed in base and did not
// on s. Some of critest's depend on time: a container that is stopped before its first
// process knows what to do about SIGTERM does not end by it.
func (s subject) runAgainst(ctx context.Context, base critest.Report) (critest.Report, error) {
	report, err := s.run(ctx, "", *focus)
	if err != nil {
		return nil, err
	}
	worse := critest.Worse(base, report)
	if len(worse) == 0 {
		return report, nil
	}
	fmt.Printf("critest: trying again on %s:\n    %s\n", s.name, strings.Join(worse, "\n    "))
	again, err := s.run(ctx, "-again", exactly(worse))
	if err != nil {
		return nil, err
	}
	for _, name := range worse {
		report[name] = again[name]
	}
	return report, nil
}

// exactly is a regular expression that matches these names, to which Ginkgo gives it
// with the suite's in front.
func exactly(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	return " (" + strings.Join(quoted, "|") + ")$"
}
