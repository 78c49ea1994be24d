;; SPDX-License-Identifier: Apache-2.0
;; Has a data segment that does not fit into its memory.
;;
;; start: out of bounds memory access
(module
  (memory (export "memory") 1)
  (data (i32.const 0xfffe) "text")
  (func (export "_start")))
