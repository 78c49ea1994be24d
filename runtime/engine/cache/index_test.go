// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine"
)

// Labels that clients have set are taken for what we set only if that would be the same.
func FuzzLabels(f *testing.F) {
	s := &Store{build: "build", tiers: map[string]engine.Tier{"O0": engine.Tier0, "O2": 2}}
	module := digest.FromString("module").String()
	good := strings.Repeat("01234567", 8)
	f.Add(good, module, "O0", "build", "")
	f.Add(strings.ToUpper(strings.Repeat("abcdefab", 8)), module, "O2", "build", "a note")
	f.Add(good[1:], module, "O2", "build", "")
	f.Add(good+"00", module, "O2", "build", "")
	f.Add(good, "sha256:12", "O2", "build", "")
	f.Add(good, "md5:"+good[:32], "O2", "build", "")
	f.Add(good, module, "O3", "build", "")
	f.Add(good, module, "O2", "", "")
	f.Fuzz(func(t *testing.T, key, module, tier, build, note string) {
		info := content.Info{Digest: "sha256:1", Size: 2, Labels: map[string]string{
			labelKey: key, labelModule: module, labelTier: tier, labelBuild: build, labelNote: note,
		}}
		e, ok := s.parse(info)
		if !ok {
			return
		}
		again := s.blobLabels(e.Record)
		if again[labelKey] != strings.ToLower(key) || again[labelModule] != module || again[labelTier] != tier || again[labelBuild] != build {
			t.Errorf("%v is taken for %v", info.Labels, again)
		}
		if err := digest.Digest(module).Validate(); err != nil || e.note != note || e.digest != info.Digest || e.size != info.Size {
			t.Errorf("%v is taken for %+v, %v", info, e, err)
		}
	})
}
