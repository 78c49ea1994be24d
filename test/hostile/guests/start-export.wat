;; SPDX-License-Identifier: Apache-2.0
;; Exports a function of the name that the engine gives to start functions, with another type, and has
;; no start function: that one is called, and cannot be.
;;
;; exit: 134
;; stderr: function signature mismatch
(module
  (memory (export "memory") 1)
  (func (export "containerd-wasm.start") (param i64 i64 i64) (result f64) (unreachable))
  (func (export "_start")))
