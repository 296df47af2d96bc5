//! Which pools this version can use, and what has to be there before one is started.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use hostler_domain::pool::{PoolType, StoragePool};
use hostler_image::shell_quote;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::error::{ErrorKind, StorageError};
use crate::ownership;
use crate::programs::Programs;
use crate::reach::Reach;
use crate::refresh::refresh;
use crate::root::PoolRoot;

/// Mode of a directory that is made for a pool whose document does not say: others pass, and see no names.
const DIRECTORY_MODE: u32 = 0o711;

/// Refuses a type that this version only keeps the definition of.
pub(crate) fn require_supported(pool: &StoragePool, reach: &Reach) -> Result<(), StorageError> {
    match pool.kind {
        PoolType::Logical if reach.roots().is_some() => {
            let message =
                format!("'{}' is a volume group of the host, which no tenant uses as a pool", pool.name);
            Err(StorageError::new(ErrorKind::Denied, "pool.type-denied", message)
                .about("pool", pool.name.as_str())
                .hint("use a pool of type dir beneath a storage root"))
        }
        PoolType::Dir | PoolType::Fs | PoolType::Netfs | PoolType::Logical => Ok(()),
        kind => {
            let message = format!(
                "pools of type '{kind}' are not supported by this version: '{}' cannot be used",
                pool.name
            );
            Err(StorageError::new(ErrorKind::Unsupported, "pool.type-unsupported", message)
                .about("pool", pool.name.as_str())
                .hint("it can be defined and its definition is kept; pools of type dir, fs, netfs and logical can be started"))
        }
    }
}

/// Opens the directory of a pool, if it is the pool's: a file system has to be mounted there.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a type that this version cannot use; [`ErrorKind::NotFound`] without a directory;
/// [`ErrorKind::Conflict`] when nothing is mounted there.
pub fn open_pool(pool: &StoragePool, reach: &Reach) -> Result<PoolRoot, StorageError> {
    require_supported(pool, reach)?;
    let path = Path::new(pool.target.path.as_deref().unwrap_or("/nonexistent"));
    let opened = match pool.kind {
        PoolType::Logical => PoolRoot::open_devices(path),
        _ => PoolRoot::open_within(path, reach),
    };
    let root = opened.map_err(|error| error.about("pool", pool.name.as_str()))?;
    if matches!(pool.kind, PoolType::Fs | PoolType::Netfs) {
        require_mounted(pool, &root)?;
    }
    Ok(root)
}

/// Refuses to start what is not ready: a directory that is not there, a file system that is not mounted, a group
/// that LVM does not know.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a type that this version cannot use; otherwise what is missing, and the remedy.
pub fn require_startable(pool: &StoragePool, programs: &Programs, reach: &Reach) -> Result<(), StorageError> {
    require_supported(pool, reach)?;
    match pool.kind {
        PoolType::Logical => refresh(pool, programs, reach).map(drop),
        _ => open_pool(pool, reach).map(drop),
    }
}

/// A directory is mounted when it lies on another device than the one above it, or is the root.
fn require_mounted(pool: &StoragePool, root: &PoolRoot) -> Result<(), StorageError> {
    let path = root.path();
    let above =
        path.parent().map(|above| std::fs::metadata(above).map(|metadata| metadata.dev())).transpose();
    let failed = |error| StorageError::io("look at", path.display(), error);
    // What is open stays what it is, whatever is mounted or unmounted meanwhile.
    let own = rustix::fs::fstat(root.as_fd()).map_err(|error| failed(error.into()))?.st_dev;
    let mounted = above.map_err(failed)?.is_none_or(|above| own != above);
    if mounted {
        return Ok(());
    }
    let message = format!("nothing is mounted at '{}', where the pool '{}' shows", path.display(), pool.name);
    Err(StorageError::new(ErrorKind::Conflict, "pool.not-mounted", message)
        .about("pool", pool.name.as_str())
        .hint_command(
            "this version does not mount file systems itself; mount it first",
            mount_command(pool, path),
        ))
}

fn mount_command(pool: &StoragePool, path: &Path) -> String {
    let source = match (pool.source.hosts.first(), &pool.source.dir, pool.source.devices.first()) {
        (Some(host), Some(dir), _) => format!("{}:{dir}", host.name.as_deref().unwrap_or_default()),
        (_, _, Some(device)) => device.path.clone(),
        _ => "SOURCE".to_owned(),
    };
    let format = pool.source.format.as_deref().filter(|format| *format != "auto");
    let format = format.map(|format| format!("-t {} ", shell_quote(format))).unwrap_or_default();
    format!("mount {format}{} {}", shell_quote(&source), shell_quote(&path.display().to_string()))
}

/// Makes the directory of a pool of type dir, fs or netfs, with those above it; one that is there is left as it is.
///
/// # Errors
/// What the operating system says.
pub fn prepare_target(pool: &StoragePool, reach: &Reach) -> Result<(), StorageError> {
    require_supported(pool, reach)?;
    if pool.kind == PoolType::Logical {
        let message = format!("the volume group of '{}' is not made by this version", pool.name);
        return Err(StorageError::new(ErrorKind::Unsupported, "pool.build-unsupported", message)
            .about("pool", pool.name.as_str())
            .hint_command(
                "make it from devices of your choice",
                format!("vgcreate {} DEVICE…", shell_quote(pool.source.name.as_deref().unwrap_or("NAME"))),
            ));
    }
    let path = Path::new(pool.target.path.as_deref().unwrap_or_default());
    let failed = |error| {
        StorageError::io("make the directory", path.display(), error).about("pool", pool.name.as_str())
    };
    reach.require(path)?;
    let is_new = if reach.roots().is_some() {
        reach.make_directories(path, Mode::from_raw_mode(DIRECTORY_MODE)).map_err(failed)?
    } else {
        let is_new = !path.exists();
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(failed)?;
        is_new
    };
    if is_new {
        let root = PoolRoot::open_within(path, reach)?;
        ownership::set(root.as_fd(), &pool.target.permissions, DIRECTORY_MODE).map_err(failed)?;
    }
    Ok(())
}

/// Removes the empty directory of a pool; through no link, where it lies within directories.
///
/// # Errors
/// What the operating system says.
pub fn remove_directory(path: &Path, reach: &Reach) -> std::io::Result<()> {
    let (Some(_), Some(above), Some(name)) = (reach.roots(), path.parent(), path.file_name()) else {
        return std::fs::remove_dir(path);
    };
    let above = reach.open(above, OFlags::PATH | OFlags::DIRECTORY)?;
    Ok(rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(xml: &str) -> StoragePool {
        StoragePool::parse(xml).unwrap()
    }

    #[test]
    fn types_that_only_have_a_definition_say_so() {
        let rbd = pool("<pool type='rbd'><name>a</name><source><name>b</name></source></pool>");
        let error = require_startable(&rbd, &Programs::default(), &Reach::anywhere()).unwrap_err();
        assert_eq!((error.code(), error.kind), ("pool.type-unsupported", ErrorKind::Unsupported));
        assert!(error.to_string().contains("not supported by this version"), "{error}");
    }

    #[test]
    fn what_is_not_mounted_is_told_with_the_command() {
        let directory = tempfile::tempdir().unwrap();
        let xml = format!(
            "<pool type='netfs'><name>a</name><source><host name='nas'/><dir path='/export/vm s'/>\
             <format type='nfs'/></source><target><path>{}</path></target></pool>",
            directory.path().display()
        );
        let pool = pool(&xml);
        let error = require_startable(&pool, &Programs::default(), &Reach::anywhere()).unwrap_err();
        assert_eq!(error.code(), "pool.not-mounted");
        let command = error.hints[0].command.as_deref().unwrap();
        assert!(command.starts_with("mount -t nfs 'nas:/export/vm s' /"), "{command}");
        assert_eq!(
            refresh(&pool, &Programs::default(), &Reach::anywhere()).unwrap_err().code(),
            "pool.not-mounted"
        );
        assert_eq!(
            crate::refresh::find(&pool, "v", &Reach::anywhere()).unwrap_err().code(),
            "pool.not-mounted"
        );
        let root = "<pool type='fs'><name>a</name><source><device path='/d'/></source><target><path>/proc</path></target></pool>";
        let root = StoragePool::parse(root).unwrap();
        require_startable(&root, &Programs::default(), &Reach::anywhere()).unwrap();
    }

    #[test]
    fn directory_is_made_on_request_and_missed_without() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/pool");
        let xml =
            format!("<pool type='dir'><name>a</name><target><path>{}</path></target></pool>", path.display());
        let pool = pool(&xml);
        assert_eq!(
            require_startable(&pool, &Programs::default(), &Reach::anywhere()).unwrap_err().kind,
            ErrorKind::NotFound
        );
        prepare_target(&pool, &Reach::anywhere()).unwrap();
        prepare_target(&pool, &Reach::anywhere()).unwrap();
        require_startable(&pool, &Programs::default(), &Reach::anywhere()).unwrap();
    }

    #[test]
    fn pool_of_a_tenant_lies_beneath_its_roots() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir(at("root")).unwrap();
        std::fs::create_dir(at("foreign")).unwrap();
        std::os::unix::fs::symlink("../foreign", at("root/link")).unwrap();
        let reach = Reach::only(vec![at("root")]);
        let of = |kind: &str, path: &str| {
            let source = if kind == "logical" { "<source><name>vg</name></source>" } else { "" };
            let target = at(path).display().to_string();
            pool(&format!(
                "<pool type='{kind}'><name>a</name>{source}<target><path>{target}</path></target></pool>"
            ))
        };
        prepare_target(&of("dir", "root/pool"), &reach).unwrap();
        require_startable(&of("dir", "root/pool"), &Programs::default(), &reach).unwrap();
        for (kind, path, code) in [
            ("dir", "foreign", "storage.outside-roots"),
            ("dir", "root/link", "storage.link"),
            ("dir", "root/link/deep", "storage.link"),
            ("logical", "root/pool", "pool.type-denied"),
        ] {
            let wrong = of(kind, path);
            let startable = require_startable(&wrong, &Programs::default(), &reach);
            assert_eq!(startable.unwrap_err().code(), code, "{path}");
            assert!(
                prepare_target(&wrong, &reach).is_err()
                    && refresh(&wrong, &Programs::default(), &reach).is_err()
            );
            assert!(crate::refresh::find(&wrong, "v", &reach).is_err(), "{path}");
        }
        assert!(!at("foreign/deep").exists());
    }
}
