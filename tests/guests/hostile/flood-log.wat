;; Writes lines of 60,000 bytes for ever.

(import "hostler:host/log@0.1.1" "write" (func $log (param i32 i32 i32 i32 i32)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 120) (i32.const 60000))
  (loop $forever (call $log (i32.const 2) (i32.const 65536) (i32.const 60000) (i32.const 0) (i32.const 0)) (br $forever))
  (i32.const 16))
