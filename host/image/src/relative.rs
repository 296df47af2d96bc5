//! Relative names across several layers: what an image must record to reach a layer further down.

/// The name by which the image above the first of these layers reaches the last one, when each layer is recorded
/// by a relative name in the image above it. Nothing is taken out of it: `../a/../a/b` stays as it is, because
/// what a name means must not depend on links that a shorter one would miss.
///
/// `None` when a layer is recorded by an absolute name, or there is no layer.
#[must_use]
pub fn relative_name<'a>(recorded: impl IntoIterator<Item = Option<&'a str>>) -> Option<String> {
    let mut name: Option<String> = None;
    for layer in recorded {
        let layer = layer?;
        name = Some(match name {
            None => layer.to_owned(),
            Some(above) => format!("{}{layer}", directory(&above)),
        });
    }
    name
}

/// Everything up to the last `/`, with it.
fn directory(name: &str) -> &str {
    name.rfind('/').and_then(|slash| name.get(..=slash)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_another() {
        assert_eq!(relative_name([Some("base")]).unwrap(), "base");
        assert_eq!(relative_name([Some("a"), Some("b")]).unwrap(), "b");
        assert_eq!(relative_name([Some("../v/a"), Some("../v/b")]).unwrap(), "../v/../v/b");
        assert_eq!(relative_name([Some("d/e/a"), Some("../b"), Some("f/c")]).unwrap(), "d/e/../f/c");
    }

    #[test]
    fn one_absolute_name_makes_the_rest_absolute() {
        assert_eq!(relative_name([Some("a"), None, Some("b")]), None);
        assert_eq!(relative_name([]), None);
    }
}
