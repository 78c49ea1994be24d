// SPDX-License-Identifier: Apache-2.0

package snapshotter

// A point is a place at which a crash would leave something behind.
type point string

const (
	pointCloned    point = "clone: an entry is cloned"
	pointPlaced    point = "prepare: the tree has its name, the record is not committed"
	pointPrepared  point = "prepare: the record is committed"
	pointSealed    point = "commit: an entry is sealed"
	pointCommitted point = "commit: the record is changed, the transaction is not committed"
	pointRenamed   point = "remove: the tree is renamed, the record is not committed"
	pointForgotten point = "remove: the record is committed, the tree is there"
	pointUnlinked  point = "remove: an entry is deleted"
)

// atPoint is called at each point, if it is set. Only tests set it, before they
// use a snapshotter, to die or to fail there.
var atPoint func(point)

func reach(p point) {
	if atPoint != nil {
		atPoint(p)
	}
}
