//! Filters of packets: there are none. One that was taken and not enforced would be worse than none, so that none is taken.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectListAllNwfilterBindingsAnswer, ConnectListAllNwfiltersAnswer, ConnectListNwfiltersAnswer,
    ConnectNumOfNwfiltersAnswer, NwfilterHandle,
};
use hostler_rpc::xdr::List;
use uuid::Uuid;

use super::{only, unsupported};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// Why none is defined.
const NOT_ENFORCED: &str =
    "this host filters no packets of guests, so it takes no filter; isolate guests by networks";

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectListAllNwfilters => async |_, call| {
            only(call.flags, 0, "virConnectListAllNWFilters")?;
            Ok(ConnectListAllNwfiltersAnswer { filters: List(Vec::new()), ret: 0 })
        },
        ConnectNumOfNwfilters => async |_, _| Ok(ConnectNumOfNwfiltersAnswer { num: 0 }),
        ConnectListNwfilters => async |_, _| Ok(ConnectListNwfiltersAnswer { names: List(Vec::new()) }),
        NwfilterLookupByName => async |_, call| {
            none(codes::ERR_NO_NWFILTER, format!("no nwfilter with matching name '{}'", call.name))
        },
        NwfilterLookupByUuid => async |_, call| {
            let uuid = Uuid::from_bytes(call.uuid);
            none(codes::ERR_NO_NWFILTER, format!("no nwfilter with matching uuid '{uuid}'"))
        },
        NwfilterGetXmlDesc => async |client, call| of(client, call.nwfilter),
        NwfilterUndefine => async |client, call| of(client, call.nwfilter),
        NwfilterDefineXml => async |_, _| Err(unsupported(codes::FROM_NWFILTER, NOT_ENFORCED)),
        NwfilterDefineXmlFlags => async |_, _| Err(unsupported(codes::FROM_NWFILTER, NOT_ENFORCED)),
        ConnectListAllNwfilterBindings => async |_, call| {
            only(call.flags, 0, "virConnectListAllNWFilterBindings")?;
            Ok(ConnectListAllNwfilterBindingsAnswer { bindings: List(Vec::new()), ret: 0 })
        },
        NwfilterBindingLookupByPortDev => async |_, call| {
            let detail = format!("no nwfilter binding for port dev '{}'", call.name);
            none(codes::ERR_NO_NWFILTER_BINDING, detail)
        },
        NwfilterBindingCreateXml => async |_, _| Err(unsupported(codes::FROM_NWFILTER, NOT_ENFORCED)),
    }
}

/// Nothing is found, whatever the answer to what would be found is. Clients know the numbers by where they come from.
fn none<T>(code: i32, detail: String) -> Result<T, RpcError> {
    Err(RpcError::new(code, codes::FROM_NWFILTER, detail))
}

fn of<T>(_: Arc<Client>, filter: NwfilterHandle) -> Result<T, RpcError> {
    let uuid = Uuid::from_bytes(filter.uuid);
    none(codes::ERR_NO_NWFILTER, format!("no nwfilter with matching uuid '{uuid}' ({})", filter.name))
}
