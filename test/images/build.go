// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const importPath = "github.com/containerd-wasm/containerd-wasm/test/images"

// Programs is the environment variable with the folder of programs that are
// compiled already, for machines that have no compilers or are slow at it.
const Programs = "TEST_PROGRAMS"

type target int

const (
	wasm target = iota
	native
)

// Build compiles the specs' programs, writes an archive DIR/NAME.tar of each image,
// and returns the archives' paths in the specs' order. It needs the go command, for
// C programs also clang with wasi-libc, or cc, and a working directory in this module.
func Build(ctx context.Context, dir string, specs ...Spec) ([]string, error) {
	var paths []string
	for _, spec := range specs {
		img, err := Image(ctx, spec)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, spec.Name+".tar")
		if err := Archive(path, spec.Ref, img); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Image compiles the spec's program and returns its image.
func Image(ctx context.Context, spec Spec) (v1.Image, error) {
	program, err := Compile(ctx, spec)
	if err != nil {
		return nil, err
	}
	config := v1.Config{Entrypoint: []string{spec.Path}, Env: spec.Env, WorkingDir: "/"}
	return New(spec.Platform, config, map[string][]byte{spec.Path: program})
}

// Several compiles guests and returns an image with all of them, as /NAME.wasm, and
// the given files. The first is the entrypoint.
func Several(ctx context.Context, files map[string][]byte, names ...string) (v1.Image, error) {
	all := maps.Clone(files)
	if all == nil {
		all = make(map[string][]byte)
	}
	for _, name := range names {
		spec := Wasm(name)
		program, err := Compile(ctx, spec)
		if err != nil {
			return nil, err
		}
		all[spec.Path] = program
	}
	return New(Host(), v1.Config{Entrypoint: []string{Wasm(names[0]).Path}, WorkingDir: "/"}, all)
}

// Compile returns the spec's program, that of Programs if this is set.
func Compile(ctx context.Context, spec Spec) ([]byte, error) {
	if dir := os.Getenv(Programs); dir != "" {
		return os.ReadFile(filepath.Join(dir, spec.Name))
	}
	dir, err := sourceDir(ctx)
	if err != nil {
		return nil, err
	}
	return compile(ctx, dir, spec.Source, spec.target)
}

// CompileFile returns the module that a WebAssembly text, C or Go file compiles to,
// or a directory with a Go program.
func CompileFile(ctx context.Context, path string) ([]byte, error) {
	return compile(ctx, filepath.Dir(path), filepath.Base(path), wasm)
}

func compile(ctx context.Context, dir, source string, to target) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "program")
	cmd := compiler(ctx, source, to, out)
	cmd.Dir = dir
	if err := run(cmd); err != nil {
		return nil, fmt.Errorf("compiling %s: %w", source, err)
	}
	return os.ReadFile(out)
}

// compiler returns the command that compiles a source, in its working directory, to
// the file out.
func compiler(ctx context.Context, source string, to target, out string) *exec.Cmd {
	ext := filepath.Ext(source)
	switch {
	case ext == ".wat":
		return exec.CommandContext(ctx, "wat2wasm", source, "-o", out)
	case ext == ".c" && to == wasm:
		return exec.CommandContext(ctx, "clang", "--target=wasm32-wasi", "-O2", "-s", "-o", out, source)
	case ext == ".c":
		return exec.CommandContext(ctx, "cc", "-static", "-Os", "-s", "-o", out, source)
	default:
		// A folder may be a module of its own. stealthrocket/net takes getaddrinfo for
		// WasmEdge's.
		pkg := "./" + source
		args := []string{"build", "-trimpath", "-buildvcs=false", "-tags=getaddrinfo", "-ldflags=-s -w", "-o", out}
		if ext == "" {
			args, pkg = slices.Insert(args, 1, "-C", pkg), "."
		}
		cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if to == wasm {
			cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm")
		}
		return cmd
	}
}

// sourceDir asks the go command for this folder: the path that the compiler knew
// is gone from a binary built with -trimpath.
func sourceDir(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", importPath)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding the sources of the images: %w%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}

func run(cmd *exec.Cmd) error {
	if _, err := cmd.Output(); err != nil {
		return fmt.Errorf("%w%s", err, stderrOf(err))
	}
	return nil
}

// stderrOf returns what the command that failed with err wrote, on a line of its own.
func stderrOf(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return "\n" + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}
