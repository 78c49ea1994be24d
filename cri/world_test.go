// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/anypb"
)

// newDB is containerd's own database, with nothing in it.
func newDB(t *testing.T) (*metadata.DB, context.Context) {
	t.Helper()
	bolt, err := bbolt.Open(filepath.Join(t.TempDir(), "meta.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bolt.Close(); err != nil {
			t.Error(err)
		}
	})
	return metadata.NewDB(bolt, nil, nil), namespaces.WithNamespace(t.Context(), criNamespace)
}

// raw is a message as it is in the database, if it can be read or not.
func raw(url string, value []byte) *anypb.Any { return &anypb.Any{TypeUrl: url, Value: value} }

// ofMetadata is what upstream keeps with a sandbox (its store/sandbox, versionedMetadata).
func ofMetadata(t *testing.T, metadata map[string]any) *anypb.Any {
	t.Helper()
	b, err := json.Marshal(map[string]any{"Version": "v1", "Metadata": metadata})
	if err != nil {
		t.Fatal(err)
	}
	return raw("github.com/containerd/cri/pkg/store/sandbox/Metadata", b)
}

func addRecord(ctx context.Context, t *testing.T, db *metadata.DB, id string, ext *anypb.Any) sandbox.Sandbox {
	t.Helper()
	s := sandbox.Sandbox{ID: id, Sandboxer: "wasm", Runtime: sandbox.RuntimeOpts{Name: "r"}}
	if ext != nil {
		s.Extensions = map[string]typeurl.Any{metadataExtension: ext}
	}
	s, err := metadata.NewSandboxStore(db).Create(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
