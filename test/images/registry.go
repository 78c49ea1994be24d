// SPDX-License-Identifier: Apache-2.0

package images

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry is an image registry in this process that speaks plain HTTP on loopback.
type Registry struct {
	Host string // its address, as in HOST/hello:latest

	server *httptest.Server
}

// NewRegistry starts an empty registry, which Close ends.
func NewRegistry() *Registry {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	return &Registry{Host: strings.TrimPrefix(server.URL, "http://"), server: server}
}

// Push stores img as repository, which may end in a tag, and returns its full name.
func (r *Registry) Push(repository string, img v1.Image) (name.Reference, error) {
	return r.push(repository, func(ref name.Reference) error { return remote.Write(ref, img) })
}

// PushIndex stores an index as Push does an image.
func (r *Registry) PushIndex(repository string, index v1.ImageIndex) (name.Reference, error) {
	return r.push(repository, func(ref name.Reference) error { return remote.WriteIndex(ref, index) })
}

func (r *Registry) push(repository string, write func(name.Reference) error) (name.Reference, error) {
	ref, err := name.ParseReference(r.Host + "/" + repository)
	if err != nil {
		return nil, err
	}
	if err := write(ref); err != nil {
		return nil, fmt.Errorf("pushing %s: %w", ref, err)
	}
	return ref, nil
}

// Close ends the registry and its connections.
func (r *Registry) Close() {
	r.server.Close()
}
