;; SPDX-License-Identifier: Apache-2.0
;; Calls functions through a table for ever.
;;
;; kill: SIGQUIT -> 131
(module
  (memory (export "memory") 1)
  (type $f (func (param i32) (result i32)))
  (table 2 2 funcref)
  (elem (i32.const 0) $one $two)
  (func $one (type $f) (i32.const 1))
  (func $two (type $f) (i32.const 0))
  (func (export "_start") (local $next i32)
    (loop $forever
      (local.set $next (call_indirect (type $f) (i32.const 7) (local.get $next)))
      (br $forever))))
