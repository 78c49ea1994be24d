;; SPDX-License-Identifier: Apache-2.0
;; Traps.
;;
;; exit: 134
;; stderr: WebAssembly trap: unreachable
(module
  (memory (export "memory") 1)
  (func (export "_start") (unreachable)))
