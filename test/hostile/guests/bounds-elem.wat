;; SPDX-License-Identifier: Apache-2.0
;; Has an element segment that does not fit into its table.
;;
;; start: out of bounds table access
(module
  (memory (export "memory") 1)
  (table 1 1 funcref)
  (elem (i32.const 0xffffffff) $f)
  (func $f)
  (func (export "_start")))
