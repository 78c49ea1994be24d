// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func resources(t testing.TB, text string) *specs.LinuxResources {
	t.Helper()
	var r specs.LinuxResources
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		text string
		want settings
	}{
		{`{}`, defaults},
		{`{"cpu":{}}`, defaults},
		{`{"unified":{"memory.high":"1"}}`, defaults},
		{`{"cpu":{"mems":"0"}}`, defaults},
		{`{"cpu":{"shares":2,"period":100000}}`, settings{2, noQuota, 100_000, 0, false}}, // kubelet, without requests
		{`{"cpu":{"shares":262144}}`, settings{1 << 18, noQuota, 100_000, 0, false}},
		{`{"cpu":{"quota":20000,"period":0}}`, settings{1024, 20_000, 100_000, 0, false}}, // ctr run --cpu-quota 20000
		{`{"cpu":{"quota":-1,"period":50000}}`, settings{1024, noQuota, 50_000, 0, false}},
		{`{"cpu":{"quota":1000,"period":1000,"burst":1000}}`, settings{1024, 1000, 1000, 1000, false}},
		{`{"cpu":{"shares":0,"quota":0,"idle":1,"realtimeRuntime":0,"realtimePeriod":0}}`, settings{1024, noQuota, 100_000, 0, true}},
	} {
		got, cpus, err := parse(defaults, resources(t, tc.text))
		if err != nil || got != tc.want || cpus != nil {
			t.Errorf("%s: got %+v, %v, %v, want %+v", tc.text, got, cpus, err, tc.want)
		}
	}
	if got, cpus, err := parse(defaults, nil); got != defaults || cpus != nil || err != nil {
		t.Errorf("no resources: got %+v, %v, %v", got, cpus, err)
	}
}

func TestParseKeepsWhatIsNotGiven(t *testing.T) {
	old := settings{shares: 2, quota: 20_000, period: 50_000, burst: 1000, idle: true}
	got, _, err := parse(old, resources(t, `{"cpu":{"shares":500}}`))
	want := old
	want.shares = 500
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		text, want string
		is         func(error) bool
	}{
		{`{"cpu":{"shares":1}}`, "cpu.shares 1 ", errdefs.IsInvalidArgument},
		{`{"cpu":{"shares":262145}}`, "cpu.shares 262145", errdefs.IsInvalidArgument},
		{`{"cpu":{"shares":18446744073709551615}}`, "cpu.shares", errdefs.IsInvalidArgument}, // CRI's -1
		{`{"cpu":{"quota":-2}}`, "cpu.quota -2", errdefs.IsInvalidArgument},
		{`{"cpu":{"quota":999}}`, "cpu.quota 999", errdefs.IsInvalidArgument},
		{`{"cpu":{"quota":9223372036854775807}}`, "cpu.quota", errdefs.IsInvalidArgument},
		{`{"cpu":{"period":999}}`, "cpu.period 999", errdefs.IsInvalidArgument},
		{`{"cpu":{"period":1000001}}`, "cpu.period 1000001", errdefs.IsInvalidArgument},
		{`{"cpu":{"quota":20000,"burst":20001}}`, "cpu.burst 20001", errdefs.IsInvalidArgument},
		{`{"cpu":{"quota":17592186044415,"burst":1}}`, "cpu.burst 1 ", errdefs.IsInvalidArgument},
		{`{"cpu":{"idle":2}}`, "cpu.idle 2", errdefs.IsInvalidArgument},
		{`{"cpu":{"cpus":"0-"}}`, `cpu.cpus "0-"`, errdefs.IsInvalidArgument},
		{`{"cpu":{"realtimeRuntime":950000}}`, "realtimeRuntime", errdefs.IsNotImplemented},
		{`{"cpu":{"realtimePeriod":1000000}}`, "realtimePeriod", errdefs.IsNotImplemented},
		{`{"unified":{"cpu.max":"1 2"}}`, `unified "cpu.max"`, errdefs.IsNotImplemented},
	} {
		_, _, err := parse(defaults, resources(t, tc.text))
		if err == nil || !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.text, err, tc.want)
		}
	}
}

func TestChanges(t *testing.T) {
	limited := settings{shares: 1024, quota: 20_000, period: 100_000}
	for _, tc := range []struct {
		desc     string
		old, new settings
		v1, v2   []change
	}{
		{desc: "none", old: limited, new: limited},
		{
			desc: "smallest shares", old: defaults, new: settings{2, noQuota, 100_000, 0, false},
			v1: []change{{"cpu.shares", "2"}},
			v2: []change{{"cpu.weight", "1"}},
		},
		{
			desc: "back to the default shares", old: settings{2, noQuota, 100_000, 0, false}, new: defaults,
			v1: []change{{"cpu.shares", "1024"}},
			v2: []change{{"cpu.weight", "100"}},
		},
		{
			desc: "a quota", old: defaults, new: limited,
			v1: []change{{"cpu.cfs_quota_us", "20000"}},
			v2: []change{{"cpu.max", "20000 100000"}},
		},
		{
			desc: "no quota any more", old: limited, new: defaults,
			v1: []change{{"cpu.cfs_quota_us", "-1"}},
			v2: []change{{"cpu.max", "max 100000"}},
		},
		{
			desc: "all of a quota", old: settings{1024, 20_000, 100_000, 5000, false}, new: settings{1024, 2000, 10_000, 1000, false},
			v1: []change{{"cpu.cfs_quota_us", "-1"}, {"cpu.cfs_period_us", "10000"}, {"cpu.cfs_burst_us", "1000"}, {"cpu.cfs_quota_us", "2000"}},
			v2: []change{{"cpu.max.burst", "0"}, {"cpu.max", "2000 10000"}, {"cpu.max.burst", "1000"}},
		},
		{
			desc: "idle, with shares that then mean nothing", old: defaults, new: settings{2, noQuota, 100_000, 0, true},
			v1: []change{{"cpu.idle", "1"}},
			v2: []change{{"cpu.idle", "1"}},
		},
		{
			desc: "idle, after other shares", old: settings{2, noQuota, 100_000, 0, false}, new: settings{2, noQuota, 100_000, 0, true},
			v1: []change{{"cpu.idle", "1"}},
			v2: []change{{"cpu.idle", "1"}},
		},
		{
			desc: "idle no more", old: settings{2, noQuota, 100_000, 0, true}, new: settings{2, noQuota, 100_000, 0, false},
			v1: []change{{"cpu.idle", "0"}, {"cpu.shares", "2"}},
			v2: []change{{"cpu.idle", "0"}, {"cpu.weight", "1"}},
		},
	} {
		old, s := tc.old.effective(), tc.new.effective()
		if got := s.changes(old, false); !reflect.DeepEqual(got, tc.v1) {
			t.Errorf("%s, version 1: got %v, want %v", tc.desc, got, tc.v1)
		}
		if got := s.changes(old, true); !reflect.DeepEqual(got, tc.v2) {
			t.Errorf("%s, version 2: got %v, want %v", tc.desc, got, tc.v2)
		}
	}
}

func TestPeriodWithoutQuotaIsTheDefault(t *testing.T) {
	s := settings{shares: 1024, quota: noQuota, period: 50_000, burst: 7}
	if got := s.effective(); got != defaults {
		t.Errorf("got %+v", got)
	}
}
