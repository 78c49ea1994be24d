// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"
)

func TestLeftovers(t *testing.T) {
	db, ctx := newDB(t)
	id := func(digit string) string { return strings.Repeat(digit, 64) }
	dir := t.TempDir()
	l := Leftovers{
		Sandboxes: metadata.NewSandboxStore(db), Containers: metadata.NewContainerStore(db), Leases: metadata.NewLeaseManager(db),
		NetNSDir: dir,
	}
	// The directory was configured by another of its names.
	addRecord(ctx, t, db, id("a"), ofMetadata(t, map[string]any{"NetNSPath": "/var/run/alias/of-a"}))
	// A pod of an older containerd has a container alone.
	if _, err := l.Containers.Create(ctx, containers.Container{
		ID: id("b"), Runtime: containers.RuntimeInfo{Name: "r"}, Spec: raw("spec", []byte("{}")),
		Extensions: map[string]typeurl.Any{pauseMetadataExtension: ofMetadata(t, map[string]any{"NetNSPath": filepath.Join(dir, "of-b")})},
	}); err != nil {
		t.Fatal(err)
	}
	day := leases.WithExpiration(24 * time.Hour)
	for name, opts := range map[string][]leases.Opt{
		id("a"): nil, id("b"): nil, id("c"): nil, "another": nil, id("C"): nil,
		id("d"): {leases.WithLabel("by", "somebody")},
		id("e"): nil, // with something
		// Containers'.
		"1-1Aa_": {day}, "2--zZ9": {day}, "3-made": {day}, "4-cont": {day}, "5-both": {day}, "6-extr": {day},
		"7-labe": {day, leases.WithLabel("by", "somebody")}, "8-forv": nil,
		"9-named": {day},
	} {
		if _, err := l.Leases.Create(ctx, append(opts, leases.WithID(name))...); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := func(key string) leases.Resource { return leases.Resource{ID: key, Type: "snapshots/wasm"} }
	ingest := leases.Resource{ID: "x", Type: "ingests"}
	for name, held := range map[string][]leases.Resource{
		id("e"): {ingest}, "2--zZ9": {snapshot(id("2"))}, "3-made": {snapshot(id("a"))}, "4-cont": {ingest},
		"5-both": {snapshot(id("2")), ingest}, "6-extr": {snapshot("extract-1 sha256:x")}, "8-forv": {snapshot(id("2"))},
	} {
		for _, r := range held {
			if err := l.Leases.AddResource(ctx, leases.Lease{ID: name}, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	elsewhere := namespaces.WithNamespace(ctx, "another")
	if _, err := l.Leases.Create(elsewhere, leases.WithID(id("c"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"of-a", "of-b", "of-c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if err := l.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectLeases := func(want ...string) {
		t.Helper()
		all, err := l.Leases.List(ctx)
		var got []string
		for _, lease := range all {
			got = append(got, lease.ID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("leases %q, %v; want %q", got, err, want)
		}
	}
	expectLeases(id("a"), id("b"), "another", id("C"), id("d"), id("e"),
		"4-cont", "5-both", "6-extr", "7-labe", "8-forv", "9-named")
	if all, err := l.Leases.List(elsewhere); err != nil || len(all) != 1 {
		t.Errorf("leases of another namespace: %v, %v", all, err)
	}
	expectNetNS(t, dir, "of-a", "of-b")

	// What cannot be read may name anything.
	addRecord(ctx, t, db, id("f"), raw("x", []byte("\x00{")))
	if err := os.WriteFile(filepath.Join(dir, "of-f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Remove(t.Context()); err == nil || !strings.Contains(err.Error(), id("f")) {
		t.Errorf("a record that cannot be read: %v", err)
	}
	expectNetNS(t, dir, "of-a", "of-b", "of-f")
}

func expectNetNS(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("network namespaces %q, %v; want %q", got, err, want)
	}
}

func TestLeftoversOfANewNode(t *testing.T) {
	db, _ := newDB(t)
	l := Leftovers{
		Sandboxes: metadata.NewSandboxStore(db), Containers: metadata.NewContainerStore(db), Leases: metadata.NewLeaseManager(db),
		NetNSDir: filepath.Join(t.TempDir(), "none"),
	}
	if err := l.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}
