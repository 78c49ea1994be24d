// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The annotation from which containerd takes an imported image's name; OCI's own,
// org.opencontainers.image.ref.name, holds only the tag.
const nameAnnotation = "io.containerd.image.name"

// Archive writes img to path as a tar of an OCI image layout, which "ctr images
// import" and "docker load" read, and names it ref.
func Archive(path, ref string, img v1.Image) (retErr error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return err
	}
	defer func() {
		if retErr != nil {
			os.Remove(file.Name())
		}
	}()
	err = writeArchive(file, ref, img)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	// CreateTemp's files are private; whoever imports the archive may be someone else.
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func writeArchive(out io.Writer, ref string, img v1.Image) error {
	w := tar.NewWriter(out)
	if err := addFile(w, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := addIndex(w, ref, img); err != nil {
		return err
	}
	if err := addBlobs(w, img); err != nil {
		return err
	}
	return w.Close()
}

func addIndex(w *tar.Writer, ref string, img v1.Image) error {
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType:   types.OCIManifestSchema1,
			Size:        size,
			Digest:      digest,
			Annotations: map[string]string{nameAnnotation: ref},
		}},
	})
	if err != nil {
		return err
	}
	return addFile(w, "index.json", index)
}

func addBlobs(w *tar.Writer, img v1.Image) error {
	blobs, err := blobsOf(img)
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		digest, _, err := v1.SHA256(bytes.NewReader(blob))
		if err != nil {
			return err
		}
		if err := addFile(w, "blobs/sha256/"+digest.Hex, blob); err != nil {
			return err
		}
	}
	return nil
}

// blobsOf returns the image's manifest, its config and its layers.
func blobsOf(img v1.Image) ([][]byte, error) {
	manifest, err := img.RawManifest()
	if err != nil {
		return nil, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	blobs := [][]byte{manifest, config}
	for _, layer := range layers {
		content, err := compressed(layer)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, content)
	}
	return blobs, nil
}

func compressed(layer v1.Layer) ([]byte, error) {
	r, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func addFile(w *tar.Writer, name string, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
