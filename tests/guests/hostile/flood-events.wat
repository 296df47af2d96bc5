;; Emits events for ever.

(import "hostler:host/domain@0.1.1" "[method]domain.emit" (func $emit (param i32 i32 i32 i32 i32)))
(data (i32.const 256) "spam")
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (loop $forever (call $emit (local.get $domain) (i32.const 256) (i32.const 4) (i32.const 0) (i32.const 0)) (br $forever))
  (i32.const 16))
