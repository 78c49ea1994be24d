;; SPDX-License-Identifier: Apache-2.0
;; Divides for ever, with numbers that are one away from a trap.
;;
;; kill: SIGKILL -> 137
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32)
    (local.set $n (i32.const 0x80000001))
    (loop $forever
      (drop (i32.div_s (local.get $n) (i32.const -1)))
      (br $forever))))
