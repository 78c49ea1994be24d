;; SPDX-License-Identifier: Apache-2.0
;; Runs for ever, and writes to all of its memory.
;;
;; kill: SIGINT -> 130
(module
  (memory (export "memory") 16)
  (func (export "_start") (local $at i32)
    (loop $forever
      (i64.store (i32.and (local.get $at) (i32.const 0xffff8)) (i64.const -1))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br $forever))))
