// SPDX-License-Identifier: Apache-2.0

package jail

import "time"

// killInterval is the time before the kill is sent again. There is no way to
// step here, so it is a matter of chance whether a signal finds the guest
// outside host calls: often, and at intervals that fall into no step with
// what the guest does.
func killInterval(i int) time.Duration {
	return time.Duration(200+(i*7919)%1300) * time.Microsecond
}
