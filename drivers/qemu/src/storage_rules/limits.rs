//! Limits on I/O that QEMU would refuse, and asynchronous I/O that it would not do.

use hostler_sdk::domain::disk::{CacheMode, IoLimits, IoMode, IoTune};

use super::{Broken, Subject, broken};

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    if !subject.is_active() {
        return None;
    }
    let driver = &subject.disk.driver;
    let direct = matches!(driver.cache, Some(CacheMode::None | CacheMode::DirectSync));
    // A disk that guests share is not cached where nobody says so.
    let shared = subject.disk.shareable && !subject.disk.readonly && driver.cache.is_none();
    if driver.io == Some(IoMode::Native) && !direct && !shared {
        return broken(
            "io-native",
            "has io='native' and is cached by the host",
            "add cache='none' or cache='directsync', or use io='io_uring'",
        );
    }
    subject.disk.iotune.as_ref().and_then(tune)
}

fn tune(tune: &IoTune) -> Option<Broken> {
    for (name, limits, most, length) in [
        ("bytes_sec", tune.bytes_sec, tune.bytes_sec_max, tune.bytes_sec_max_length),
        ("iops_sec", tune.iops_sec, tune.iops_sec_max, tune.iops_sec_max_length),
    ] {
        let mixed = is_mixed(limits).then(|| name.to_owned());
        if let Some(name) = mixed.or_else(|| is_mixed(most).then(|| format!("{name}_max"))) {
            return broken(
                "iotune",
                format!("has limits total_{name} beside those for reads or writes"),
                "give the limit in total, or for reads and writes apart",
            );
        }
        let pairs = [(length.total, most.total), (length.read, most.read), (length.write, most.write)];
        if pairs.iter().any(|(length, most)| is_set(*length) && !is_set(*most)) {
            return broken(
                "iotune",
                format!("says how long a burst of {name} lasts and not how large it is"),
                "add the limit that ends in _max",
            );
        }
    }
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = tune.group_name.as_deref()?;
    if name.len() <= LONGEST_GROUP_NAME && name.bytes().all(fine) {
        return None;
    }
    broken(
        "iotune",
        "shares limits under a name that is no id of QEMU",
        "use letters, digits, '-', '_' and '.', at most 40",
    )
}

/// With what is put before it, an id stays short enough to be read.
const LONGEST_GROUP_NAME: usize = 40;

fn is_set(limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| limit > 0)
}

fn is_mixed(limits: IoLimits) -> bool {
    is_set(limits.total) && (is_set(limits.read) || is_set(limits.write))
}
