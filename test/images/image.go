// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// New returns an image of one layer with the given files, which are keyed by their
// absolute path in the image. Equal arguments give an image of the same digest: all
// times are zero, all owners root, and every file is executable.
func New(platform v1.Platform, config v1.Config, files map[string][]byte) (v1.Image, error) {
	content, err := tarOf(files)
	if err != nil {
		return nil, fmt.Errorf("packing a layer: %w", err)
	}
	return FromTar(platform, config, content)
}

// FromTar returns an image whose one layer is the tar archive content.
func FromTar(platform v1.Platform, config v1.Config, content []byte) (v1.Image, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("packing a layer: %w", err)
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		OS:           platform.OS,
		Architecture: platform.Architecture,
		Variant:      platform.Variant,
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, fmt.Errorf("setting the image's config: %w", err)
	}
	return mutate.AppendLayers(img, layer)
}

// tarOf returns a tar archive of the files and of the directories that they are in.
func tarOf(files map[string][]byte) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range withParents(files) {
		header := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeDir}
		if content, ok := files["/"+name]; ok {
			header.Typeflag = tar.TypeReg
			header.Size = int64(len(content))
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(files["/"+name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// withParents returns the relative paths of the files and of their directories,
// which end in a slash, sorted so that a directory comes before what is in it.
func withParents(files map[string][]byte) []string {
	var names []string
	for name := range files {
		names = append(names, strings.TrimPrefix(name, "/"))
		for dir := path.Dir(name); dir != "/" && dir != "."; dir = path.Dir(dir) {
			names = append(names, strings.TrimPrefix(dir, "/")+"/")
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
