// SPDX-License-Identifier: Apache-2.0

package jail

import "time"

// killInterval is the time before the kill is sent again. A stepped guest is
// gone after about 10 ms at most (fault.c); more signals would only disturb.
func killInterval(int) time.Duration { return 20 * time.Millisecond }
