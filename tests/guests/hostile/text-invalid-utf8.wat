;; Hands over a text that is not UTF-8.

(import "hostler:host/log@0.1.1" "write" (func $log (param i32 i32 i32 i32 i32)))
(data (i32.const 256) "\ff\fe\c0\80")
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $log (i32.const 2) (i32.const 256) (i32.const 4) (i32.const 0) (i32.const 0))
  (i32.const 16))
