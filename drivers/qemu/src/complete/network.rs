//! Network interfaces: model and MAC address.

use hostler_sdk::Error;
use hostler_sdk::domain::{Fragment, NodeId};

use super::draft::Draft;

/// The first three bytes of every MAC address made here: the locally administered range of QEMU and KVM.
const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];
/// The model of an interface that names none.
const DEFAULT_MODEL: &str = "rtl8139";

/// Fills model and MAC address where the document leaves them open.
pub(super) fn settle(draft: &mut Draft, mut random: impl FnMut(&mut [u8])) -> Result<(), Error> {
    for node in draft.devices("interface") {
        if draft.child_get(node, "mac", "address").is_none() {
            let address = free_mac(draft, &mut random);
            let mac = draft.need_child(node, "mac")?;
            draft.fill(mac, "address", &address)?;
        }
        model(draft, node)?;
    }
    Ok(())
}

/// A MAC address that no other interface of the domain has.
fn free_mac(draft: &Draft, random: &mut impl FnMut(&mut [u8])) -> String {
    let mut tail = [0; 3];
    random(&mut tail);
    let used: Vec<_> = draft
        .devices("interface")
        .into_iter()
        .filter_map(|node| draft.child_get(node, "mac", "address").map(str::to_ascii_lowercase))
        .collect();
    // At most as many steps as there are interfaces: each step is another address.
    loop {
        let [a, b, c] = MAC_PREFIX;
        let [d, e, f] = tail;
        let address = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        if !used.contains(&address) {
            return address;
        }
        let [_, x, y, z] = (u32::from_be_bytes([0, d, e, f]).wrapping_add(1)).to_be_bytes();
        tail = [x, y, z];
    }
}

fn model(draft: &mut Draft, node: NodeId) -> Result<(), Error> {
    if draft.says(node, "type", "hostdev") || draft.child(node, "model").is_some() {
        return Ok(());
    }
    // A vDPA device speaks virtio and nothing else.
    let model = if draft.says(node, "type", "vdpa") { "virtio" } else { DEFAULT_MODEL };
    draft.append(node, &Fragment::new("model").attribute("type", model).to_xml())?;
    Ok(())
}
