//! Dotted names, which stand for objects and lists: `"server.0.host"`.

use super::Json;
use crate::source::Fault;

/// Turns every dotted name into nested objects, and objects whose names count from 0 into lists.
///
/// # Errors
/// When one thing is given twice, or both as a value and as an object.
pub(super) fn deflatten(value: Json) -> Result<Json, Fault> {
    match value {
        Json::Object(members) => {
            let mut object = Vec::with_capacity(members.len());
            for (name, value) in members {
                insert(&mut object, &name, deflatten(value)?)?;
            }
            Ok(Json::Object(object.into_iter().map(|(name, value)| (name, listed(value))).collect()))
        }
        Json::List(items) => Ok(Json::List(items.into_iter().map(deflatten).collect::<Result<_, _>>()?)),
        other => Ok(other),
    }
}

/// Puts a value where a dotted name leads. As deep as the name has dots, and a reference has 1023 bytes.
fn insert(object: &mut Vec<(String, Json)>, name: &str, value: Json) -> Result<(), Fault> {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let place = object.iter_mut().find(|(known, _)| known == first).map(|(_, value)| value);
    match (place, rest, value) {
        (None, None, value) => object.push((first.to_owned(), value)),
        (None, Some(rest), value) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, value)?;
            object.push((first.to_owned(), Json::Object(inner)));
        }
        (Some(Json::Object(inner)), Some(rest), value) => insert(inner, rest, value)?,
        (Some(Json::Object(inner)), None, Json::Object(members)) => {
            members.into_iter().try_for_each(|(name, value)| insert(inner, &name, value))?;
        }
        (Some(_), ..) => return Err("one of its members is given twice".to_owned()),
    }
    Ok(())
}

/// The list that an object stands for whose names are 0, 1, 2 and so on.
fn listed(value: Json) -> Json {
    let Json::Object(members) = value else { return value };
    let members: Vec<_> = members.into_iter().map(|(name, value)| (name, listed(value))).collect();
    let numbers: Option<Vec<usize>> = members.iter().map(|(name, _)| index(name)).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else { return Json::Object(members) };
    let mut items: Vec<_> = numbers.into_iter().zip(members).collect();
    items.sort_by_key(|(number, _)| *number);
    if items.iter().enumerate().all(|(place, (number, _))| place == *number) {
        return Json::List(items.into_iter().map(|(_, (_, value))| value).collect());
    }
    Json::Object(items.into_iter().map(|(_, member)| member).collect())
}

/// A place in a list: a number without sign or leading zeros.
fn index(name: &str) -> Option<usize> {
    let number: usize = name.parse().ok()?;
    (number.to_string() == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> Result<String, Fault> {
        deflatten(Json::parse(text).unwrap()).map(|tree| tree.to_text())
    }

    #[test]
    fn dotted_names_become_objects_and_lists() {
        let text = r#"{"server.1.host":"b","server.0.host":"a","a.b.c":1,"a.b.d":2,"x":{"y.z":0}}"#;
        assert_eq!(
            flat(text).unwrap(),
            r#"{"server":[{"host":"a"},{"host":"b"}],"a":{"b":{"c":1,"d":2}},"x":{"y":{"z":0}}}"#
        );
        assert_eq!(flat(r#"{"a.0":1,"a.2":2}"#).unwrap(), r#"{"a":{"0":1,"2":2}}"#);
        assert_eq!(flat(r#"{"a":{"b":1},"a.c":2}"#).unwrap(), r#"{"a":{"b":1,"c":2}}"#);
    }

    #[test]
    fn what_is_given_twice_is_refused() {
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"a":1,"a.b":2}"#, r#"{"a.b":2,"a":1}"#, r#"{"a":{"b":1},"a.b":1}"#]
        {
            assert!(flat(text).is_err(), "{text}");
        }
    }
}
