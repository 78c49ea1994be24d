;; Computes for about 20 ms: arithmetic, memory, and calls through a table.
(module
  (type $step (func (param i64) (result i64)))
  (memory (export "memory") 16)
  (table funcref (elem $a $b))
  (func $a (type $step) (i64.mul (local.get 0) (i64.const 6364136223846793005)))
  (func $b (type $step) (i64.xor (local.get 0) (i64.shr_u (local.get 0) (i64.const 29))))
  (func (export "_start") (local $i i32) (local $x i64)
    (local.set $x (i64.const 1))
    (loop $l
      (local.set $x (call_indirect (type $step) (i64.add (local.get $x) (i64.const 1442695040888963407))
        (i32.and (local.get $i) (i32.const 1))))
      (i64.store (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0xffff8)) (local.get $x))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000000))))))
