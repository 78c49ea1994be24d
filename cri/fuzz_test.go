// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"encoding/json"
	"testing"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// FuzzLacksCommand: whatever an image's configuration is, what upstream says of it is
// understood as upstream understands the configuration itself.
func FuzzLacksCommand(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"config":{"Cmd":["/app"],"Entrypoint":null}}`))
	f.Add([]byte(`{"config":{"Cmd":[],"Entrypoint":[""]},"Config":{"cmd":["\ud800"]}}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		var image imagespec.Image
		if json.Unmarshal(config, &image) != nil {
			return
		}
		info, err := json.Marshal(map[string]any{"chainID": "sha256:x", "imageSpec": image})
		if err != nil {
			return
		}
		c := image.Config
		want := len(c.Cmd) == 0 && (len(c.Entrypoint) == 0 || len(c.Entrypoint) == 1 && c.Entrypoint[0] == "")
		if got := lacksCommand(string(info)); got != want {
			t.Errorf("%t of %s", got, info)
		}
		lacksCommand(string(config)) // what is something else is no panic
	})
}

// FuzzFill: a record that is damaged, or another version's, does not keep the sandbox
// from being described.
func FuzzFill(f *testing.F) {
	f.Add([]byte(`{"Version":"v1","Metadata":{"Config":{"metadata":{"name":"web"}},"CNIResult":{}}}`))
	f.Add([]byte(`{"Metadata":{"CNIResult":7,"Config":null}} `))
	f.Add([]byte("\x00{"))
	f.Fuzz(func(t *testing.T, metadata []byte) {
		info := podInfo{Status: "deleted", RuntimeType: "r"}
		info.fill(raw("x", metadata))
		b, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		var got podInfo
		if err := json.Unmarshal(b, &got); err != nil || got.Status != info.Status || got.RuntimeType != info.RuntimeType {
			t.Errorf("%s: %v", b, err)
		}
	})
}
