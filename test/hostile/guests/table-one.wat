;; SPDX-License-Identifier: Apache-2.0
;; Grows its table by one entry until it cannot.
;;
;; exit: 0
(module
  (memory (export "memory") 1)
  (table 0 funcref)
  (func (export "_start")
    (loop $more (br_if $more (i32.ne (table.grow 0 (ref.null func) (i32.const 1)) (i32.const -1))))
    (if (i32.lt_u (table.size 0) (i32.const 1000)) (then (unreachable)))))
