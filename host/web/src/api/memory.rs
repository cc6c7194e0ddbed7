//! Lists that are not rows of the store (force schedulers, plugins, properties, links): short, in memory, with the same
//! filters, order and page as those that are.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use toolpost_store::{Filter, Op};

use super::json;
use super::query::Spec;
use super::schema::Resource;
use crate::error::ApiError;

/// Writes what a query string asks for of a list.
pub(crate) fn collection(
    resource: Resource,
    items: Vec<Map<String, Value>>,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let spec = Spec::parse(resource, raw_query, true)?;
    let mut items = items;
    items.retain(|item| {
        spec.query
            .filters
            .iter()
            .all(|filter| lets_through(filter, item))
    });
    let total = items.len();
    items.sort_by(|a, b| {
        spec.query
            .order
            .iter()
            .fold(Ordering::Equal, |so_far, order| {
                so_far.then_with(|| {
                    let ordering = compare(a.get(&order.field), b.get(&order.field));
                    if order.descending {
                        ordering.reverse()
                    } else {
                        ordering
                    }
                })
            })
    });
    let offset = spec.query.offset as usize;
    let limit = spec.query.limit.map_or(usize::MAX, |limit| limit as usize);
    let shown = items.into_iter().skip(offset).take(limit);
    Ok(envelope(resource, shown, &spec, Some(total)))
}

/// Writes a single thing.
pub(crate) fn single(
    resource: Resource,
    item: Option<Map<String, Value>>,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let spec = Spec::parse(resource, raw_query, false)?;
    let item = item.ok_or_else(|| ApiError::not_found(resource.name()))?;
    Ok(envelope(resource, [item], &spec, None))
}

fn envelope(
    resource: Resource,
    items: impl IntoIterator<Item = Map<String, Value>>,
    spec: &Spec,
    total: Option<usize>,
) -> Vec<u8> {
    let mut out = format!("{{\"{}\":", resource.plural()).into_bytes();
    json::list(&mut out, items, |out, mut item| {
        if let Some(fields) = &spec.fields {
            item.retain(|name, _| fields.contains(&name.as_str()));
        }
        let mut item = Value::Object(item);
        item.sort_all_objects();
        json::value(out, &item);
    });
    out.extend_from_slice(b",\"meta\":{");
    if let Some(total) = total {
        out.extend_from_slice(b"\"total\":");
        json::int(&mut out, i64::try_from(total).unwrap_or(i64::MAX));
    }
    out.extend_from_slice(b"}}");
    out
}

fn lets_through(filter: &Filter, item: &Map<String, Value>) -> bool {
    let value = item.get(&filter.field).unwrap_or(&Value::Null);
    let against = |wanted: &String| compare(Some(value), Some(&typed_like(value, wanted)));
    let any = |test: fn(Ordering) -> bool| filter.values.iter().any(|wanted| test(against(wanted)));
    match filter.op {
        Op::Eq => any(Ordering::is_eq),
        Op::Ne => !any(Ordering::is_eq),
        Op::Lt => any(Ordering::is_lt),
        Op::Le => any(Ordering::is_le),
        Op::Gt => any(Ordering::is_gt),
        Op::Ge => any(Ordering::is_ge),
        Op::Contains => filter.values.iter().any(|wanted| match value {
            Value::String(text) => text.contains(wanted),
            Value::Array(members) => members
                .iter()
                .any(|member| *member == typed_like(member, wanted)),
            _ => false,
        }),
    }
}

/// A value of a query string in the type that a field has.
fn typed_like(field: &Value, wanted: &str) -> Value {
    match field {
        Value::Bool(_) => Value::Bool(wanted == "true"),
        Value::Number(_) => wanted.parse::<i64>().map_or(Value::Null, Value::from),
        _ => Value::from(wanted),
    }
}

/// Nulls first, as Buildbot sorts.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_i64().cmp(&b.as_i64()),
        (None | Some(Value::Null), None | Some(Value::Null)) => Ordering::Equal,
        (None | Some(Value::Null), _) => Ordering::Less,
        (_, None | Some(Value::Null)) => Ordering::Greater,
        (Some(a), Some(b)) => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(query: &str) -> String {
        let items = [
            json!({"name": "b", "label": "Beta", "enabled": true, "builder_names": ["x"]}),
            json!({"name": "a", "label": "Alpha", "enabled": false, "builder_names": ["x", "y"]}),
            json!({"name": "c", "label": null, "enabled": true, "builder_names": []}),
        ];
        let items = items
            .iter()
            .map(|item| item.as_object().expect("an object").clone())
            .collect();
        let query = format!("field=name&field=label&field=enabled&field=builder_names&{query}");
        let body = collection(Resource::ForceScheduler, items, Some(&query)).expect("a good query");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let names: Vec<_> = body["forceschedulers"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item["name"].as_str().expect("a name"))
            .collect();
        format!("{} of {}", names.join(","), body["meta"]["total"])
    }

    #[test]
    fn short_lists_take_the_same_queries() {
        let table = [
            ("", "b,a,c of 3"),
            ("order=name", "a,b,c of 3"),
            ("order=-enabled&order=name", "b,c,a of 3"),
            ("order=label", "c,a,b of 3"),
            ("order=name&limit=1&offset=1", "b of 3"),
            ("enabled=true", "b,c of 2"),
            ("name=a&name=c", "a,c of 2"),
            ("name__ne=a", "b,c of 2"),
            ("label__contains=ph", "a of 1"),
            ("builder_names__contains=y", "a of 1"),
            ("name__ge=b", "b,c of 2"),
        ];
        for (query, expected) in table {
            assert_eq!(asked(query), expected, "{query}");
        }
    }
}
