// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

func TestAnswerRoundTrip(t *testing.T) {
	loaded := &header{Size: 1, Digest: [32]byte{2, 31: 3}, Counts: binary.Counts{Types: 4, CompiledBytes: math.MaxUint64}}
	for _, a := range []answer{
		{Loaded: loaded}, {Refused: "is \"bad\""}, {Exceeds: "is big"}, {Failed: "no"},
		{Refused: strings.Repeat("é\x00", maxAnswer)},
	} {
		b, err := a.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeAnswer(b)
		if err != nil {
			t.Fatal(err)
		}
		if want := a.printable(); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	for _, s := range []string{
		"", "\n", "{}\n", "null\n", `{"failed":"a"}`, `{"failed":"a"}` + "\n\n", `{"failed":"a"}{}` + "\n",
		`{"failed":"a"} x` + "\n", "[]\n", `{"refused":1}` + "\n", `{"refused":"a","more":1}` + "\n",
		`{"loaded":{"Size":-1}}` + "\n", `{"loaded":{"Size":1e100}}` + "\n", `{"loaded":{"Counts":{"More":1}}}` + "\n",
		strings.Repeat(" ", maxAnswer) + `{"failed":"a"}` + "\n",
	} {
		if a, err := decodeAnswer([]byte(s)); err == nil {
			t.Errorf("%.40q was accepted as %+v", s, a)
		}
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, s := range []string{`{"loaded":{"Size":1,"Digest":[1,2],"Counts":{"Types":1}}}` + "\n", `{"exceeds":"is big"}` + "\n", `{"refused":"is bad"}` + "\n", `{"failed":"\u001b[2J"}` + "\n", "null\n", `{"refused":"\ud800"}` + "\n", "{\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil && !reflect.DeepEqual(a, answer{}) {
			t.Error("an answer beside an error")
		}
		if err == nil && a.Loaded == nil && a.Refused+a.Exceeds+a.Failed == "" {
			t.Error("an answer that says nothing")
		}
		for _, s := range []string{a.Refused, a.Exceeds, a.Failed} {
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
