//! Which drivers a tenant may use at all.

use crate::error::{GrantError, Kind, shown};
use crate::policy::Tenant;

/// The entry of a list of drivers that stands for every one.
pub const EVERY_DRIVER: &str = "*";

impl Tenant {
    /// Whether the tenant may use the driver of this name.
    #[must_use]
    pub fn may_use(&self, driver: &str) -> bool {
        let named = |drivers: &Vec<String>| drivers.iter().any(|name| name == driver || name == EVERY_DRIVER);
        self.drivers.as_ref().is_none_or(named)
    }

    /// The same as a result.
    ///
    /// # Errors
    /// [`Kind::Denied`] with the drivers that it may use.
    pub fn require_driver(&self, driver: &str) -> Result<(), GrantError> {
        if self.may_use(driver) {
            return Ok(());
        }
        let (tenant, driver) = (shown(&self.name), shown(driver));
        let list: Vec<_> = self.drivers.iter().flatten().map(|name| format!("'{}'", shown(name))).collect();
        let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        Err(GrantError::new(
            Kind::Denied,
            format!("tenant '{tenant}' may not use the driver '{driver}'; it may use {list}"),
            format!("the operator can allow it: hostler tenant allow {tenant} --driver {driver}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(drivers: &str) -> Tenant {
        Tenant::parse(format!(r#"{{"name":"blue"{drivers}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn only_named_drivers_may_be_used() {
        assert!(tenant("").may_use("qemu") && tenant(r#","drivers":["*"]"#).may_use("qemu"));
        let blue = tenant(r#","drivers":["qemu","test"]"#);
        blue.require_driver("test").unwrap();
        for wrong in ["fault", "qem", "", "*"] {
            let error = blue.require_driver(wrong).unwrap_err();
            assert_eq!(error.kind, Kind::Denied);
            assert!(error.to_string().contains("it may use 'qemu', 'test'"), "{error}");
        }
        let none = tenant(r#","drivers":[]"#).require_driver("qemu").unwrap_err();
        assert!(none.to_string().ends_with("it may use none"), "{none}");
        assert!(none.hints[0].contains("hostler tenant allow blue --driver qemu"), "{:?}", none.hints);
    }
}
