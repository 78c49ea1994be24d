;; SPDX-License-Identifier: Apache-2.0
;; Grows its table by as much as it can name.
;;
;; exit: 0
(module
  (memory (export "memory") 1)
  (table 0 0xffffffff funcref)
  (func (export "_start")
    (if (i32.ne (table.grow 0 (ref.null func) (i32.const 0xffffffff)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (table.grow 0 (ref.null func) (i32.const 0x10000000)) (i32.const -1)) (then (unreachable)))))
