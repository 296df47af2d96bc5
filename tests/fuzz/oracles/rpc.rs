//! What holds of any bytes that a client may send.

use hostler_rpc::frame::{Assembler, Frame};
use hostler_rpc::wire;
use hostler_rpc::xdr::{Xdr, decode, encode};

/// Frames that come out are those that went in; what is decoded is written as it can be read again.
pub fn check(bytes: &[u8]) {
    let mut assembler = Assembler::default();
    // In two pieces, as they may come.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for piece in [first, second] {
        assembler.push(piece);
        while let Ok(Some(frame)) = assembler.next_frame() {
            let again = frame.to_bytes().expect("what came can be sent");
            let mut other = Assembler::default();
            other.push(&again);
            assert_eq!(other.next_frame().expect("a frame"), Some(frame.clone()));
            arguments(&frame);
        }
    }
    round_trips(bytes);
}

fn arguments(frame: &Frame) {
    round_trips(&frame.payload);
}

fn round_trips(payload: &[u8]) {
    round_trip::<wire::ConnectOpen>(payload);
    round_trip::<wire::DomainDefineXml>(payload);
    round_trip::<wire::DomainMigratePerform3Params>(payload);
    round_trip::<wire::ConnectGetAllDomainStats>(payload);
    round_trip::<wire::DomainSendKey>(payload);
    round_trip::<wire::DomainSetMetadata>(payload);
    round_trip::<wire::ConnectSetIdentity>(payload);
    round_trip::<wire::StorageVolCreateXmlFrom>(payload);
    round_trip::<hostler_rpc::error::RpcError>(payload);
}

fn round_trip<T: Xdr>(payload: &[u8]) {
    if let Ok(value) = decode::<T>(payload) {
        let bytes = encode(&value).expect("what was read can be written");
        let again = decode::<T>(&bytes).expect("what was written can be read");
        assert_eq!(encode(&again).expect("and written again"), bytes);
        // What it is about is found in what came.
        let mut handles = 0;
        again.handles(&mut |_| handles += 1);
        assert!(handles * 4 <= bytes.len());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_of_every_kind_are_taken() {
        super::check(&[]);
        super::check(&[0xff; 100]);
        let header = [0, 0, 0, 36, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        super::check(&[&header[..], &[0; 8]].concat());
    }
}
