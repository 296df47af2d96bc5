//! `types`: words only, nothing to call.

use crate::bindings::wit::types::Host;
use crate::call::CallState;

impl Host for CallState {}
