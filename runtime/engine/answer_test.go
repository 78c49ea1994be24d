// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnswerRoundTrip(t *testing.T) {
	for _, a := range []answer{{}, {Refused: "is \"bad\""}, {Failed: "no"}, {Refused: strings.Repeat("é\x00", maxAnswer)}} {
		b, err := a.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeAnswer(b)
		if err != nil {
			t.Fatal(err)
		}
		if want := (answer{printable(a.Refused), printable(a.Failed)}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	for _, s := range []string{
		"", "\n", "{}", "{}\n{}\n", "{}{}\n", "{} x\n", "null x\n", "[]\n", `{"refused":1}` + "\n",
		`{"refused":"a","more":1}` + "\n", strings.Repeat(" ", maxAnswer) + "{}\n",
	} {
		if a, err := decodeAnswer([]byte(s)); err == nil {
			t.Errorf("%.40q was accepted as %+v", s, a)
		}
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, s := range []string{"{}\n", `{"refused":"is bad"}` + "\n", `{"failed":"\u001b[2J"}` + "\n", "null\n", `{"refused":"\ud800"}` + "\n", "{\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil && a != (answer{}) {
			t.Error("an answer beside an error")
		}
		for _, s := range []string{a.Refused, a.Failed} {
			if len(s) > maxPhrase || !utf8.ValidString(s) {
				t.Errorf("%d bytes, valid %v", len(s), utf8.ValidString(s))
			}
			for _, r := range s {
				if !strconv.IsPrint(r) && r != utf8.RuneError {
					t.Errorf("%q is not printable", r)
				}
			}
		}
	})
}
