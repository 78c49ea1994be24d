// SPDX-License-Identifier: Apache-2.0

package critest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// written is what Ginkgo writes, shortened.
const written = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="7">
  <testsuite name="CRI validation">
    <testcase name="[BeforeSuite]" status="passed"></testcase>
    <testcase name="[It] [k8s.io] Container starts" status="passed"></testcase>
    <testcase name="[It] [k8s.io] Image pulled" status="failed">
      <failure message="failed to pull image:&#xA;    not found" type="failed">more</failure>
    </testcase>
    <testcase name="[It] [k8s.io] Panics" status="panicked"><error message="runtime error" type="panicked"></error></testcase>
    <testcase name="[It] [k8s.io] AppArmor" status="skipped"><skipped message="skipped - AppArmor is disabled"></skipped></testcase>
    <testcase name="[It] [k8s.io] Benchmark" status="skipped"><skipped message="skipped"></skipped></testcase>
    <testcase name="[It] [k8s.io] Twice" status="failed"><failure message="no" type="failed"></failure></testcase>
    <testcase name="[It] [k8s.io] Twice" status="passed"></testcase>
  </testsuite>
</testsuites>`

func read(t *testing.T, content string) (Report, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.xml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadReport(path)
}

func TestReadReport(t *testing.T) {
	got, err := read(t, written)
	if err != nil {
		t.Fatal(err)
	}
	want := Report{
		"[k8s.io] Container starts": {Passed, ""},
		"[k8s.io] Image pulled":     {Failed, "failed to pull image: not found"},
		"[k8s.io] Panics":           {Failed, "runtime error"},
		"[k8s.io] AppArmor":         {Skipped, "skipped - AppArmor is disabled"},
		"[k8s.io] Twice":            {Failed, "no"},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got.Count(Failed) != 3 || got.Count(Passed) != 1 {
		t.Errorf("%d failed, %d passed", got.Count(Failed), got.Count(Passed))
	}
}

func TestReadReportThatIsNone(t *testing.T) {
	const suite = `[BeforeSuite]" status="failed"><failure message="no daemon"></failure`
	for name, content := range map[string]string{
		"empty":     "",
		"cut off":   written[:len(written)/2],
		"no suite":  strings.Replace(written, `[BeforeSuite]" status="passed"><`, suite+"><", 1),
		"not found": "<testsuites",
	} {
		if got, err := read(t, content); err == nil {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if _, err := ReadReport(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a report that is not there can be read")
	}
}

func TestCompare(t *testing.T) {
	base := Report{
		"both": {Passed, ""}, "worse": {Passed, ""}, "lost": {Passed, ""}, "skipped": {Passed, ""},
		"better": {Failed, "old"}, "neither": {Failed, "no"},
	}
	other := Report{
		"both": {Passed, ""}, "worse": {Failed, "new"}, "skipped": {Skipped, "no"},
		"better": {Passed, ""}, "neither": {Failed, "no"}, "more": {Failed, "no"},
	}
	if got, want := Worse(base, other), []string{"lost", "skipped", "worse"}; !slices.Equal(got, want) {
		t.Errorf("worse: %q, want %q", got, want)
	}
	if got, want := Differences(base, other), []string{"better", "lost", "more", "skipped", "worse"}; !slices.Equal(got, want) {
		t.Errorf("different: %q, want %q", got, want)
	}
	var out strings.Builder
	Print(&out, Column{"upstream", base}, Column{"ours", other})
	for _, want := range []string{
		"upstream  4       2       0", "ours      2       3       1",
		"passed on both: 1\n", "failed on both: 1\n    neither\n        no\n", "different: 5\n",
		"    lost\n        upstream: passed \n        ours: missing \n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}
