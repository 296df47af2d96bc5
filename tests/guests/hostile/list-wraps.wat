;; Hands over a list whose length in bytes does not fit into 32 bits.

(import "hostler:host/log@0.1.1" "write" (func $log (param i32 i32 i32 i32 i32)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $log (i32.const 2) (i32.const 256) (i32.const 0) (i32.const 256) (i32.const 536870912))
  (i32.const 16))
