//! What a query string asks of a resource: fields, filters, order and page, as Buildbot's data API parses them.
//! Pure; names and types come from [`super::schema`].

use percent_encoding::percent_decode_str;
use toolpost_store::{Filter, Op, Order, Query};

use super::schema::{Kind, Resource};
use crate::error::ApiError;

/// Parameters of one query string, at most; what a person or a client could mean is far below.
const PARAMETERS_MAX: usize = 200;

/// A parsed query string.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Spec {
    /// The fields to give; `None` for all.
    pub(crate) fields: Option<Vec<&'static str>>,
    /// Filters, order, limit and offset.
    pub(crate) query: Query,
    /// Names of properties to give with builds and requests; `*` for all.
    pub(crate) properties: Vec<String>,
}

/// What of a query string was read already.
#[derive(Default)]
struct Seen {
    /// The names of the filters, in their order.
    filters: Vec<String>,
    offset: bool,
}

impl Spec {
    /// Parses the query string of a list (`collection`) or of a single resource, which takes no filters.
    pub(crate) fn parse(
        resource: Resource,
        raw: Option<&str>,
        collection: bool,
    ) -> Result<Self, ApiError> {
        let mut spec = Self::default();
        // The first one counts; and what has another name is another filter, even of the same field.
        let mut seen = Seen::default();
        // Buildbot passes over what has no value.
        let pieces = raw.unwrap_or_default().split('&');
        for (count, piece) in pieces.filter(|piece| piece.contains('=')).enumerate() {
            if count == PARAMETERS_MAX {
                return Err(ApiError::query(format!(
                    "more than {PARAMETERS_MAX} query parameters"
                )));
            }
            for (name, value) in form_urlencoded::parse(piece.as_bytes()) {
                if percent_decode_str(piece).decode_utf8().is_err() {
                    return Err(ApiError::query(format!("invalid filter value for {name}")));
                }
                spec.parameter(resource, &name, &value, &mut seen)?;
            }
        }
        spec.check_selected()?;
        if !collection && !spec.query.filters.is_empty() {
            return Err(ApiError::query("this is not a collection"));
        }
        Ok(spec)
    }

    fn parameter(
        &mut self,
        resource: Resource,
        name: &str,
        value: &str,
        seen: &mut Seen,
    ) -> Result<(), ApiError> {
        match name {
            "order" => {
                let (field, descending) = match value.strip_prefix('-') {
                    Some(field) => (field, true),
                    None => (value, false),
                };
                let field = known(resource, field)?;
                if field.1 == Kind::Nested {
                    return Err(ApiError::query(format!(
                        "cannot order on field '{}'",
                        field.0
                    )));
                }
                self.query.order.push(Order {
                    field: field.0.to_owned(),
                    descending,
                });
            }
            "field" => {
                let field = known(resource, value)?.0;
                self.fields.get_or_insert_default().push(field);
            }
            "limit" if self.query.limit.is_some() => {}
            "limit" => self.query.limit = Some(page_number("limit", value)?),
            "offset" if seen.offset => {}
            "offset" => {
                self.query.offset = page_number("offset", value)?;
                seen.offset = true;
            }
            "property" => self.properties.push(value.to_owned()),
            _ => self.filter(resource, name, value, seen)?,
        }
        Ok(())
    }

    /// Adds `field=value` or `field__op=value`; a repeated parameter is one filter with several values.
    fn filter(
        &mut self,
        resource: Resource,
        name: &str,
        value: &str,
        seen: &mut Seen,
    ) -> Result<(), ApiError> {
        let unknown = || ApiError::query(format!("unrecognized query parameter '{name}'"));
        let (field, op) = match resource.field(name) {
            Some(field) => (field, Op::Eq),
            None => {
                let (field, op) = name.rsplit_once("__").ok_or_else(unknown)?;
                let op = Op::from_name(op).ok_or_else(unknown)?;
                (resource.field(field).ok_or_else(unknown)?, op)
            }
        };
        let value = filter_value(field.kind, value)
            .ok_or_else(|| ApiError::query(format!("invalid filter value for {name}")))?;
        let at = seen.filters.iter().position(|seen| seen == name);
        let Some(same) = at.and_then(|at| self.query.filters.get_mut(at)) else {
            seen.filters.push(name.to_owned());
            self.query.filters.push(Filter {
                field: field.name.to_owned(),
                op,
                values: vec![value],
            });
            return Ok(());
        };
        if matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge) {
            return Err(ApiError::query(format!("'{name}' takes one value")));
        }
        same.values.push(value);
        Ok(())
    }

    /// What is filtered or ordered by has to be among the selected fields.
    fn check_selected(&self) -> Result<(), ApiError> {
        let Some(fields) = &self.fields else {
            return Ok(());
        };
        let selected = |name: &String| fields.contains(&name.as_str());
        if !self.query.order.iter().all(|order| selected(&order.field)) {
            return Err(ApiError::query("cannot order on un-selected fields"));
        }
        if !self
            .query
            .filters
            .iter()
            .all(|filter| selected(&filter.field))
        {
            return Err(ApiError::query("cannot filter on un-selected fields"));
        }
        Ok(())
    }
}

/// Name and kind of a field.
fn known(resource: Resource, name: &str) -> Result<(&'static str, Kind), ApiError> {
    resource
        .field(name)
        .map(|field| (field.name, field.kind))
        .ok_or_else(|| ApiError::query(format!("no such field '{name}'")))
}

fn page_number(name: &str, value: &str) -> Result<u32, ApiError> {
    value
        .trim()
        .parse()
        .map_err(|_| ApiError::query(format!("invalid {name}")))
}

/// The operators that say something about fields of a kind.
pub(crate) fn operators(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Int | Kind::Time => &["eq", "ne", "in", "notin", "lt", "le", "gt", "ge"],
        Kind::Text | Kind::Identifier => &[
            "eq", "ne", "in", "notin", "lt", "le", "gt", "ge", "contains",
        ],
        Kind::Bool => &["eq", "ne", "in", "notin"],
        Kind::IntList | Kind::TextList => &["eq", "ne", "in", "notin", "contains"],
        Kind::Nested => &[],
    }
}

/// Checks a filter value and brings it to the form that the store takes.
fn filter_value(kind: Kind, value: &str) -> Option<String> {
    match kind {
        Kind::Int | Kind::Time | Kind::IntList => {
            value.trim().parse::<i64>().ok().map(|n| n.to_string())
        }
        Kind::Bool => boolean(value).map(|truth| truth.to_string()),
        Kind::Text | Kind::TextList | Kind::Identifier => Some(value.to_owned()),
        Kind::Nested => None,
    }
}

/// A truth value in any of the spellings that Buildbot takes.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(resource: Resource, raw: &str, collection: bool) -> String {
        match Spec::parse(resource, Some(raw), collection) {
            Err(error) => format!("{} {error}", error.status().as_u16()),
            Ok(spec) => {
                let mut parts = Vec::new();
                if let Some(fields) = &spec.fields {
                    parts.push(format!("fields {fields:?}"));
                }
                for Filter { field, op, values } in &spec.query.filters {
                    parts.push(format!("{field} {op:?} {values:?}"));
                }
                for order in &spec.query.order {
                    let sign = if order.descending { "-" } else { "+" };
                    parts.push(format!("by {sign}{}", order.field));
                }
                if let Some(limit) = spec.query.limit {
                    parts.push(format!("limit {limit}"));
                }
                if spec.query.offset > 0 {
                    parts.push(format!("offset {}", spec.query.offset));
                }
                if !spec.properties.is_empty() {
                    parts.push(format!("properties {:?}", spec.properties));
                }
                parts.join("; ")
            }
        }
    }

    #[test]
    fn query_strings_of_lists() {
        let table = [
            ("", ""),
            ("limit=100&order=-buildid", "by -buildid; limit 100"),
            ("offset=20&limit=10", "limit 10; offset 20"),
            ("order=builderid&order=-number", "by +builderid; by -number"),
            ("complete=false", "complete Eq [\"false\"]"),
            (
                "complete=YES&results__ne=0",
                "complete Eq [\"true\"]; results Ne [\"0\"]",
            ),
            ("results=1&results=2", "results Eq [\"1\", \"2\"]"),
            ("results__eq=+1", "results Eq [\"1\"]"),
            (
                "results__in=1&results__in=2&results__notin=3",
                "results Eq [\"1\", \"2\"]; results Ne [\"3\"]",
            ),
            (
                "results=1&results__eq=2",
                "results Eq [\"1\"]; results Eq [\"2\"]",
            ),
            ("limit=1&limit=2&offset=0&offset=3", "limit 1"),
            ("colour&limit=1", "limit 1"),
            (
                "state_string=%ff",
                "400 invalid filter value for state_string",
            ),
            (
                "started_at__gt=1700000000&started_at__le=1800000000",
                "started_at Gt [\"1700000000\"]; started_at Le [\"1800000000\"]",
            ),
            (
                "state_string__contains=a%26b+c",
                "state_string Contains [\"a&b c\"]",
            ),
            (
                "field=buildid&field=results",
                "fields [\"buildid\", \"results\"]",
            ),
            ("property=owner&property=*", "properties [\"owner\", \"*\"]"),
            ("limit=ten", "400 invalid limit"),
            ("limit=-1", "400 invalid limit"),
            ("offset=99999999999", "400 invalid offset"),
            ("order=colour", "400 no such field 'colour'"),
            (
                "order=-properties",
                "400 cannot order on field 'properties'",
            ),
            ("field=colour", "400 no such field 'colour'"),
            ("colour=red", "400 unrecognized query parameter 'colour'"),
            (
                "colour__eq=red",
                "400 unrecognized query parameter 'colour__eq'",
            ),
            (
                "number__like=3",
                "400 unrecognized query parameter 'number__like'",
            ),
            ("number=three", "400 invalid filter value for number"),
            ("complete=perhaps", "400 invalid filter value for complete"),
            ("properties=x", "400 invalid filter value for properties"),
            (
                "number__lt=3&number__lt=4",
                "400 'number__lt' takes one value",
            ),
            (
                "field=buildid&order=number",
                "400 cannot order on un-selected fields",
            ),
            (
                "field=buildid&number=3",
                "400 cannot filter on un-selected fields",
            ),
        ];
        for (raw, expected) in table {
            assert_eq!(shown(Resource::Build, raw, true), expected, "{raw}");
        }
    }

    #[test]
    fn lists_in_fields_are_filtered_by_members() {
        assert_eq!(
            shown(
                Resource::Builder,
                "tags__contains=fast&tags__contains=slow",
                true
            ),
            "tags Contains [\"fast\", \"slow\"]"
        );
        assert_eq!(
            shown(Resource::Builder, "masterids__contains=1", true),
            "masterids Contains [\"1\"]"
        );
    }

    #[test]
    fn query_strings_of_single_resources_only_select() {
        assert_eq!(
            shown(Resource::Build, "field=buildid", false),
            "fields [\"buildid\"]"
        );
        assert_eq!(
            shown(Resource::Build, "number=1", false),
            "400 this is not a collection"
        );
    }

    #[test]
    fn the_number_of_parameters_is_limited() {
        let raw = "results=1&".repeat(PARAMETERS_MAX + 1);
        assert_eq!(
            shown(Resource::Build, &raw, true),
            "400 more than 200 query parameters"
        );
    }
}
