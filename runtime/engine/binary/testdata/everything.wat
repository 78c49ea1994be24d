;; SPDX-License-Identifier: Apache-2.0
;; Something of everything that a module can have; the seeds in fuzz/ are made of it.
(module
  (type $p (func (param i32 i64 f32 f64 v128 funcref externref) (result i32 i64)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
  (table $t 3 9 funcref) (table 2 externref)
  (memory (export "memory") 1 70)
  (global $g (export "g") (mut i32) (i32.const -5)) (global i64 (i64.const -9223372036854775808))
  (global f32 (f32.const 1)) (global f64 (f64.const 2)) (global v128 (v128.const i32x4 1 2 3 4))
  (global funcref (ref.func $f)) (global externref (ref.null extern))
  (func $f (export "_start") (local i32 i64 v128) (drop (call $y)) (drop (table.grow $t (ref.null func) (i32.const 1)))
     (table.init $t 1 (i32.const 0) (i32.const 0) (i32.const 1)) (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1)))
  (func $s (global.set $g (i32.const 3)))
  (start $s)
  (elem (i32.const 0) func $f $s) (elem funcref (ref.func $f) (ref.null func)) (elem declare func $f)
  (elem (table 0) (i32.const 1) funcref (ref.func $s)) (elem (table 1) (i32.const 0) externref (ref.null extern)) (elem func $f)
  (data (i32.const 16) "data") (data "passive") (data (memory 0) (i32.const 65535) "x"))
