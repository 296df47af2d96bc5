;; Never returns from an export.

(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (loop $forever (br $forever))
  (i32.const 16))
