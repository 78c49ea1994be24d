;; SPDX-License-Identifier: Apache-2.0
;; Exits from ten thousand levels deep.
;;
;; exit: 9
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $f (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (call $exit (i32.const 9))))
    (i32.xor (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1)))))
  (func (export "_start") (drop (call $f (i32.const 10000)))))
