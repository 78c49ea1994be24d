// SPDX-License-Identifier: Apache-2.0

package critest

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
)

// Outcome of a test.
type Outcome string

// Every test has one of these. A test that ran out of time or panicked has failed.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is how a test ended, and why if it did not pass.
type Result struct {
	Outcome Outcome
	Reason  string // one line
}

// Report has the result of each test by its name, which is the text that critest's
// -ginkgo.focus is matched with.
type Report map[string]Result

// junit is the part of Ginkgo's JUnit report that is of use here.
type junit struct {
	Cases []struct {
		Name    string   `xml:"name,attr"`
		Status  string   `xml:"status,attr"`
		Failure *message `xml:"failure"`
		Error   *message `xml:"error"`
		Skipped *message `xml:"skipped"`
	} `xml:"testsuite>testcase"`
}

type message struct {
	Text string `xml:"message,attr"`
}

// ReadReport reads the file of -ginkgo.junit-report. Tests that critest was not asked
// for are not in the report, nor is what prepares the suite.
func ReadReport(path string) (Report, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var parsed junit
	if err := xml.Unmarshal(content, &parsed); err != nil {
		return nil, fmt.Errorf("%s is no JUnit report: %w", path, err)
	}
	r := Report{}
	for _, c := range parsed.Cases {
		name, isTest := strings.CutPrefix(c.Name, "[It] ")
		if !isTest {
			if c.Failure != nil || c.Error != nil {
				return nil, fmt.Errorf("%s: critest's %s failed: %s", path, c.Name, reason(c.Failure, c.Error))
			}
			continue
		}
		switch {
		case c.Failure != nil || c.Error != nil:
			r.add(name, Result{Failed, reason(c.Failure, c.Error)})
		case c.Status == string(Passed):
			r.add(name, Result{Outcome: Passed})
		case c.Skipped != nil && c.Skipped.Text != notAsked:
			r.add(name, Result{Skipped, reason(c.Skipped)})
		}
	}
	return r, nil
}

// notAsked is what Ginkgo writes for tests that its focus or skip leaves out; of one
// that skips itself it has the reason, too.
const notAsked = "skipped"

// add keeps the worst result of tests that have the same name.
func (r Report) add(name string, result Result) {
	rank := map[Outcome]int{"": 0, Passed: 1, Skipped: 2, Failed: 3}
	if rank[result.Outcome] > rank[r[name].Outcome] {
		r[name] = result
	}
}

const maxReason = 240

// reason is the first message that is there, on one line.
func reason(messages ...*message) string {
	for _, m := range messages {
		if m != nil {
			line := []rune(strings.Join(strings.Fields(m.Text), " "))
			return string(line[:min(len(line), maxReason)])
		}
	}
	return ""
}

// Count is how many tests have the outcome.
func (r Report) Count(o Outcome) int {
	n := 0
	for _, result := range r {
		if result.Outcome == o {
			n++
		}
	}
	return n
}
