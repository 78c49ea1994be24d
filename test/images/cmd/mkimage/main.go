// SPDX-License-Identifier: Apache-2.0

// Command mkimage writes archives of the test images, all or those named, or of one
// image made of the files given; or only the programs in the test images:
//
//	mkimage [-o DIR] [NAME...]
//	mkimage [-o DIR] -programs [NAME...]
//	mkimage [-o DIR] -ref REF -file /PATH=FILE [-file ...] [-platform OS/ARCH] [-- ENTRYPOINT...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/containerd-wasm/containerd-wasm/test/images"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var files fileFlags
	dir := flag.String("o", ".build/images", "the folder to write archives to")
	ref := flag.String("ref", "", "the name of an image to make of files")
	platform := flag.String("platform", images.Host().String(), "the platform of an image made of files")
	flag.Var(&files, "file", "/PATH=FILE, a file to put into the image; the first is its entrypoint")
	programs := flag.Bool("programs", false, "write programs, not images")
	flag.Parse()
	switch {
	case *programs:
		return compile(ctx, *dir, flag.Args())
	case *ref == "":
		return build(ctx, *dir, flag.Args())
	}
	return pack(*dir, *ref, *platform, files, flag.Args())
}

// named returns the specs with the given names, or all.
func named(names []string) ([]images.Spec, error) {
	specs := images.All()
	if len(names) > 0 {
		specs = slices.DeleteFunc(specs, func(s images.Spec) bool { return !slices.Contains(names, s.Name) })
		if len(specs) != len(names) {
			return nil, fmt.Errorf("no such image among %q", names)
		}
	}
	return specs, nil
}

// compile writes programs, for images.Programs.
func compile(ctx context.Context, dir string, names []string) error {
	specs, err := named(names)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, spec := range specs {
		program, err := images.Compile(ctx, spec)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, spec.Name), program, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func build(ctx context.Context, dir string, names []string) error {
	specs, err := named(names)
	if err != nil {
		return err
	}
	paths, err := images.Build(ctx, dir, specs...)
	for i, path := range paths {
		fmt.Println(path, specs[i].Ref)
	}
	return err
}

// pack writes an image of files.
func pack(dir, ref, platform string, files fileFlags, entrypoint []string) error {
	if len(files) == 0 {
		return errors.New("-ref needs a -file")
	}
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return err
	}
	contents := map[string][]byte{}
	for _, f := range files {
		if contents[f.target], err = os.ReadFile(f.source); err != nil {
			return err
		}
	}
	if len(entrypoint) == 0 {
		entrypoint = []string{files[0].target}
	}
	img, err := images.New(*p, v1.Config{Entrypoint: entrypoint, WorkingDir: "/"}, contents)
	if err != nil {
		return err
	}
	base, _, _ := strings.Cut(filepath.Base(ref), ":")
	path := filepath.Join(dir, base+".tar")
	fmt.Println(path, ref)
	return images.Archive(path, ref, img)
}

type fileFlag struct{ target, source string }

type fileFlags []fileFlag

func (f *fileFlags) String() string { return fmt.Sprint(*f) }

func (f *fileFlags) Set(value string) error {
	target, source, ok := strings.Cut(value, "=")
	if !ok || !filepath.IsAbs(target) {
		return errors.New("want /PATH=FILE")
	}
	*f = append(*f, fileFlag{target, source})
	return nil
}
