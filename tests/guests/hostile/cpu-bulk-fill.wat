;; Fills 4 MiB with one instruction, for ever: long steps between two looks at the deadline.

(memory (export "memory") 70)
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (loop $forever (memory.fill (i32.const 65536) (i32.const 7) (i32.const 4194304)) (br $forever))
  (i32.const 16))
