;; SPDX-License-Identifier: Apache-2.0
;; Grows its table beyond its end, and fills it, for ever.
;;
;; kill: SIGKILL -> 137
(module
  (memory (export "memory") 1)
  (table 100000 100000 funcref)
  (func (export "_start")
    (loop $forever
      (drop (table.grow 0 (ref.null func) (i32.const 1)))
      (table.fill 0 (i32.const 0) (ref.null func) (i32.const 100000))
      (br $forever))))
