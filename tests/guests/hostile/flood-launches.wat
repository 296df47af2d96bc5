;; Launches a program for ever.

(import "hostler:host/domain@0.1.1" "[method]domain.launch" (func $launch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(data (i32.const 256) "/bin/sh")
(func $realloc (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (i32.const 4096))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (loop $forever
    (call $launch (local.get $domain) (i32.const 256) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))
    (br $forever))
  (i32.const 16))
