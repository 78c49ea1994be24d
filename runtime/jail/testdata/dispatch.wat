;; A loop through a table of branches and a table of functions, as interpreters have.
(module
  (type $f (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (table funcref (elem $add $xor))
  (func $add (type $f) (i32.add (local.get 0) (i32.const 1)))
  (func $xor (type $f) (i32.add (i32.xor (local.get 0) (i32.const 4)) (i32.const 3)))
  (func (export "_start") (local $i i32)
    (loop $l
      (block $two
        (block $one
          (block $zero (br_table $zero $one $two (i32.rem_u (local.get $i) (i32.const 3))))
          (local.set $i (call_indirect (type $f) (local.get $i) (i32.const 0)))
          (br $l))
        (local.set $i (call_indirect (type $f) (local.get $i) (i32.const 1)))
        (br $l))
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br $l))))
