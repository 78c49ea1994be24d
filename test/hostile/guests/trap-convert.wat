;; SPDX-License-Identifier: Apache-2.0
;; Makes an integer of a number that is not one.
;;
;; exit: 134
;; stderr: WebAssembly trap: invalid conversion to integer
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop (i64.trunc_f64_s (f64.sqrt (f64.const -1))))))
