// SPDX-License-Identifier: Apache-2.0

// Package snapshotter is a flat snapshotter: each snapshot is one directory
// which holds its whole tree, and nothing has to be mounted to use it.
//
// # On disk
//
//	<root>/metadata.db        names, parents, labels and usage (storage.MetaStore)
//	<root>/snapshots/<id>/    the tree of an active or committed snapshot
//	<root>/snapshots/new-<n>/ a tree in the making, owned by one running call
//	<root>/snapshots/rm-<x>/  a dead tree, which the next Cleanup deletes
//
// A view has no directory of its own (unless it has no parent): its mount is
// the parent's directory, read-only. So is an image that CRI mounts as a volume.
//
// An active snapshot is a private tree, cloned from the parent's. WebAssembly
// modules, that is regular files which begin with "\0asm", are not copied:
// they are hard links to the parent's inode. All else is reflinked where the
// file system can, and copied where it cannot.
//
// # Invariants
//
// A record in metadata.db exists only while its directory does: a directory
// gets its final name before the record is committed, and loses it in the
// transaction which deletes the record. A crash in between leaves new-*, rm-*
// or unknown directories, which New removes or moves back.
//
// A committed tree is never written. Every module in it has mode 0444 (Commit
// sets it), so Prepare looks for modules only among the files of that mode.
//
// # Security
//
// A module's inode is shared by all containers of an image, so nobody may
// change it through an active snapshot. Mode 0444 keeps an ordinary user from
// writing, but not one with CAP_DAC_OVERRIDE, and not the inode's owner from
// setting its times. Whoever runs a guest on an active snapshot must keep it from
// changing what SharedModules lists, by read-only mounts, or call Privatize
// first, which gives it copies of its own. So does package runtime, also for the
// containers of other runtimes.
//
// A layer that is unpacked may change the attributes of modules below it: a
// hard link entry of a tar file sets owner, mode, times and extended attributes
// of the file it names. Prepare for unpacking (snapshots.LabelSnapshotRef is set, or
// the key begins with snapshots.UnpackKeyPrefix) therefore copies modules instead of
// linking them, so that an image cannot alter another one which shares its base.
// Whoever applies layers to snapshots with neither must call Privatize first. A
// remapping of owners for a user namespace would do the same damage and carries no
// label; the plugin announces the capability "only-remap-ids", so that clients do not
// try.
//
// Trees are hostile input. They are walked with directory descriptors: no
// symlink is followed, no mount point is entered, device nodes and FIFOs are
// never opened, names are bytes.
package snapshotter
