// SPDX-License-Identifier: Apache-2.0

package critest

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// Where critest's images are (its pkg/validate/consts.go and others).
const (
	e2e     = "registry.k8s.io/e2e-test-images/"
	staging = "gcr.io/k8s-staging-cri-tools/"
)

// image is what one of critest's has.
type image struct {
	more   tree // besides the base
	config v1.Config
}

// Serve makes all images that critest pulls and puts them into a registry, under
// their names without the host. One cannot be had: test-image-digest, which critest
// pulls by a digest that only the original has.
//
// busybox is the path of a dynamically linked one for this machine.
func Serve(ctx context.Context, registry *images.Registry, busybox string) error {
	base, err := base(ctx, busybox)
	if err != nil {
		return err
	}
	all, err := wanted(ctx)
	if err != nil {
		return err
	}
	for ref, i := range all {
		content, err := base.with(i.more).tar()
		if err != nil {
			return fmt.Errorf("packing %s: %w", ref, err)
		}
		img, err := images.FromTar(images.Host(), i.config, content)
		if err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
		if err := push(registry, ref, img); err != nil {
			return err
		}
	}
	pause, err := images.Image(ctx, images.Pause())
	if err != nil {
		return err
	}
	return push(registry, images.PauseRef, pause)
}

func push(registry *images.Registry, ref string, img v1.Image) error {
	_, repository, _ := strings.Cut(ref, "/")
	_, err := registry.Push(repository, img)
	return err
}

// wanted are critest's images but the pause image, by name.
func wanted(ctx context.Context) (map[string]image, error) {
	all, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	all[e2e+"busybox:1.29-2"] = image{}
	for name, user := range map[string]string{
		"uid":            "1002",
		"username":       "www-data",
		"uid-group":      "1003:1004",
		"username-group": "www-data:1004",
	} {
		all[staging+"test-image-user-"+name] = image{config: v1.Config{User: user}}
	}
	all[staging+"test-image-predefined-group"] = image{config: v1.Config{User: "1000"}, more: tree{
		"etc/passwd": {mode: 0o644, content: []byte(passwd + definedUser)},
		"etc/group":  {mode: 0o644, content: []byte(group + definedGroup)},
	}}
	// Tags are of different images where their markers differ.
	for tag, marker := range map[string]string{
		"1:latest": "test-image-1", "2:latest": "test-image-2", "3:latest": "test-image-3",
		"latest:latest": "test-image-latest", "tag:test": "test", "tag:all": "all",
		"tags:1": "same-image", "tags:2": "same-image", "tags:3": "same-image",
	} {
		all[staging+"test-image-"+tag] = image{more: tree{marker: {mode: 0o644}}}
	}
	return all, nil
}

// programs are the images that have more than a shell.
func programs(ctx context.Context) (map[string]image, error) {
	server, err := images.Compile(ctx, images.Native("webserver"))
	if err != nil {
		return nil, err
	}
	nonewprivs, err := images.Compile(ctx, images.Native("nonewprivs"))
	if err != nil {
		return nil, err
	}
	serve := func(name, port string) image {
		return image{
			more: tree{"usr/sbin/" + name: {mode: 0o755, content: server}},
			// A test looks for the title of nginx's first process.
			config: v1.Config{Entrypoint: []string{"/usr/sbin/" + name, port, "master process"}},
		}
	}
	return map[string]image{
		e2e + "nginx:1.14-2":                        serve("nginx", "80"),
		e2e + "httpd:2.4.39-4":                      serve("httpd", "80"),
		staging + "hostnet-nginx-" + runtime.GOARCH: serve("nginx", "12003"),
		e2e + "nonewprivs:1.3": {
			more:   tree{"nnp": {mode: 0o4755, content: nonewprivs}},
			config: v1.Config{Entrypoint: []string{"/nnp"}},
		},
	}, nil
}
