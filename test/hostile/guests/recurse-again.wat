;; SPDX-License-Identifier: Apache-2.0
;; Its start function calls _start, which calls the start function, without end.
;;
;; exit: 134
;; stderr: call stack exhausted
(module
  (memory (export "memory") 1)
  (global $depth (mut i32) (i32.const 0))
  (func $start (call $main) (global.set $depth (i32.add (global.get $depth) (i32.const 1))))
  (func $main (export "_start") (call $start) (global.set $depth (i32.add (global.get $depth) (i32.const 1))))
  (start $start))
