//! Turns a [`Query`] into SQL. Words of the caller become arguments, never text.

use super::table::{Field, Kind, Spread, Table};
use crate::sql::{Backend, Value};
use crate::{Filter, IDS_PER_LIST_MAX, Op, Query, ROWS_PER_LIST_MAX, Result, StoreError};

/// So many rows are rather found and sorted than met on the way through a table.
pub(super) const FEW_ROWS: i64 = 1_000;

/// A statement in the making.
pub(super) struct Select<'t> {
    table: &'t Table,
    backend: Backend,
    sql: String,
    args: Vec<Value>,
    /// Whether few rows are left by the filters, so that they are found by these and not on the way through the order.
    few: bool,
}

/// What is wanted of the rows of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything.
    Rows,
    /// Which they are.
    Ids,
}

impl<'t> Select<'t> {
    /// The rows of a query.
    pub(super) fn rows(
        table: &'t Table,
        backend: Backend,
        wanted: Wanted,
        query: &Query,
        few: bool,
    ) -> Result<Self> {
        let (columns, rows_max) = match wanted {
            Wanted::Rows => (table.columns, ROWS_PER_LIST_MAX),
            Wanted::Ids => ("t.id", IDS_PER_LIST_MAX),
        };
        let sql = format!("SELECT {columns} FROM {}", table.from);
        let mut select = Self::new(table, backend, sql);
        select.few = few;
        select.filters(&query.filters)?;
        select.page(query, rows_max)?;
        Ok(select)
    }

    /// How many rows the filters let through.
    pub(super) fn count(table: &'t Table, backend: Backend, filters: &[Filter]) -> Result<Self> {
        let sql = format!("SELECT COUNT(*) FROM {}", table.from);
        let mut select = Self::new(table, backend, sql);
        select.filters(filters)?;
        Ok(select)
    }

    /// What to ask before the rows of a query that wants those since some time in the order of their ids: whether these are
    /// more than [`FEW_ROWS`]. Nothing for PostgreSQL, which knows that.
    pub(super) fn how_many_are_recent(
        table: &'t Table,
        backend: Backend,
        query: &Query,
    ) -> Result<Option<Self>> {
        let mut select = Self::new(table, backend, String::new());
        let by_id = match query.order.first() {
            Some(order) => select.field(&order.field)?.expression == "t.id",
            None => true,
        };
        if backend == Backend::Postgres || !by_id {
            return Ok(None);
        }
        for filter in &query.filters {
            let field = select.field(&filter.field)?;
            if field.spread == Spread::Recent && matches!(filter.op, Op::Gt | Op::Ge) {
                let condition = select.condition(field, filter)?;
                let from = table.from;
                let limit = select.bind(FEW_ROWS + 1);
                select.sql = format!(
                    "SELECT COUNT(*) FROM (SELECT 1 FROM {from} WHERE {condition} LIMIT {limit})"
                );
                return Ok(Some(select));
            }
        }
        Ok(None)
    }

    fn new(table: &'t Table, backend: Backend, sql: String) -> Self {
        Self {
            table,
            backend,
            sql,
            args: Vec::new(),
            few: false,
        }
    }

    pub(super) fn finish(self) -> (String, Vec<Value>) {
        (self.sql, self.args)
    }

    fn filters(&mut self, filters: &[Filter]) -> Result<()> {
        for (n, filter) in filters.iter().enumerate() {
            let field = self.field(&filter.field)?;
            let condition = self.condition(field, filter)?;
            self.sql.push_str(if n == 0 { " WHERE " } else { " AND " });
            self.sql.push_str(&condition);
            let zero = format!("{} = 0", field.expression);
            self.few |= field.spread == Spread::ZeroIsRare && condition == zero;
        }
        Ok(())
    }

    /// Order and page. The id decides between equals, so that pages do not overlap.
    fn page(&mut self, query: &Query, rows_max: u32) -> Result<()> {
        // A key with a sign is no column any more, and no index is followed for its sake.
        let sign = if self.few && self.backend == Backend::Sqlite {
            "+"
        } else {
            ""
        };
        let mut keys = Vec::new();
        let mut has_id = false;
        for order in &query.order {
            let field = self.field(&order.field)?;
            if matches!(field.kind, Kind::List | Kind::Link) {
                return Err(refused(field, "lists have no order"));
            }
            let direction = if order.descending { " DESC" } else { "" };
            // What SQLite does by itself: NULL is less than everything. Where nothing is NULL the words are
            // left out, because PostgreSQL uses an index only when they are those of the index.
            let nulls = match (
                field.nullable && self.backend == Backend::Postgres,
                order.descending,
            ) {
                (false, _) => "",
                (true, false) => " NULLS FIRST",
                (true, true) => " NULLS LAST",
            };
            keys.push(format!("{sign}{}{direction}{nulls}", field.expression));
            if field.expression == "t.id" {
                has_id = true;
                // No two rows are equal here, so nothing that follows can matter.
                break;
            }
        }
        if !has_id {
            keys.push(format!("{sign}t.id"));
        }
        let limit = query.limit.map_or(rows_max, |limit| limit.min(rows_max));
        let limit = self.bind(limit);
        let offset = self.bind(query.offset);
        let keys = keys.join(", ");
        self.sql
            .push_str(&format!(" ORDER BY {keys} LIMIT {limit} OFFSET {offset}"));
        Ok(())
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }

    fn field(&self, name: &str) -> Result<&'t Field> {
        let fields = self.table.fields;
        fields
            .iter()
            .find(|field| field.name == name)
            .ok_or_else(|| StoreError::UnknownField {
                resource: self.table.resource,
                field: name.to_owned(),
                known: fields.iter().map(|field| field.name).collect(),
            })
    }

    fn condition(&mut self, field: &Field, filter: &Filter) -> Result<String> {
        if filter.values.is_empty() {
            return Err(refused(field, "a value is missing"));
        }
        match (field.kind, filter.op) {
            (Kind::Link, Op::Eq | Op::Contains) => self.linked(field, &filter.values),
            (Kind::Link, Op::Ne) => Ok(format!("NOT {}", self.linked(field, &filter.values)?)),
            (Kind::List, Op::Contains | Op::Eq) => {
                Ok(self.any(&filter.values, |select, value| select.member(field, value)))
            }
            (Kind::List, Op::Ne) => {
                let member = self.any(&filter.values, |select, value| select.member(field, value));
                Ok(format!("NOT {member}"))
            }
            (Kind::Text, Op::Contains) => Ok(self.any(&filter.values, |select, value| {
                let value = select.bind(value);
                select.position(field.expression, &value)
            })),
            (Kind::List | Kind::Link, _) => Err(refused(
                field,
                "lists can be compared with eq, ne and contains only",
            )),
            (Kind::AtMostOne, Op::Contains) => self.equal(field, Op::Eq, &filter.values),
            (_, Op::Contains) => Err(refused(field, "contains works on texts and lists only")),
            (Kind::Time, op) => self.times(field, op, &filter.values),
            (_, Op::Eq | Op::Ne) => self.equal(field, filter.op, &filter.values),
            (_, op) => self.compare(field, op, &filter.values),
        }
    }

    fn any(&mut self, values: &[String], mut one: impl FnMut(&mut Self, &str) -> String) -> String {
        let conditions: Vec<String> = values.iter().map(|value| one(self, value)).collect();
        format!("({})", conditions.join(" OR "))
    }

    fn position(&self, text: &str, part: &str) -> String {
        match self.backend {
            Backend::Sqlite => format!("instr({text}, {part}) > 0"),
            Backend::Postgres => format!("strpos({text}, {part}) > 0"),
        }
    }

    /// In compact JSON a member begins after `[` or `,`, and a quote inside a text is always escaped: so this
    /// finds whole members only.
    fn member(&mut self, field: &Field, value: &str) -> String {
        let json = serde_json::Value::from(value).to_string();
        let first = self.bind(format!("[{json}"));
        let later = self.bind(format!(",{json}"));
        let first = self.position(field.expression, &first);
        let later = self.position(field.expression, &later);
        format!("({first} OR {later})")
    }

    fn linked(&mut self, field: &Field, values: &[String]) -> Result<String> {
        let ids = self.bind_all(field, values)?;
        Ok(format!("({} IN ({ids})))", field.expression))
    }

    fn bind_all(&mut self, field: &Field, values: &[String]) -> Result<String> {
        let bound: Vec<String> = values
            .iter()
            .map(|value| {
                let value = word(field, value)?;
                // A partial index serves only conditions that name its constant.
                Ok(match (field.kind, &value) {
                    (Kind::Flag, Value::Int(Some(flag))) => flag.to_string(),
                    _ => self.bind(value),
                })
            })
            .collect::<Result<_>>()?;
        Ok(bound.join(", "))
    }

    fn equal(&mut self, field: &Field, op: Op, values: &[String]) -> Result<String> {
        let expression = field.expression;
        let bound = self.bind_all(field, values)?;
        // SQLite does not see that a list of one constant is what a partial index is about.
        let (equal, different) = match values {
            [_] => (format!("= {bound}"), format!("<> {bound}")),
            _ => (format!("IN ({bound})"), format!("NOT IN ({bound})")),
        };
        Ok(match (op, field.null_differs) {
            (Op::Eq, _) => format!("{expression} {equal}"),
            (_, false) => format!("{expression} {different}"),
            (_, true) => format!("({expression} IS NULL OR {expression} {different})"),
        })
    }

    fn compare(&mut self, field: &Field, op: Op, values: &[String]) -> Result<String> {
        let [value] = values else {
            return Err(refused(field, "this comparison takes one value"));
        };
        let sign = match op {
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            _ => ">=",
        };
        let bound = self.bind(word(field, value)?);
        Ok(format!("{} {sign} {bound}", field.expression))
    }

    /// Times are compared as the whole seconds that the REST API shows, by ranges of milliseconds that an index
    /// can serve.
    fn times(&mut self, field: &Field, op: Op, values: &[String]) -> Result<String> {
        let expression = field.expression;
        if matches!(op, Op::Eq | Op::Ne) {
            let mut within = Vec::new();
            for value in values {
                let (from, to) = second(field, value)?;
                let (from, to) = (self.bind(from), self.bind(to));
                within.push(format!("({expression} >= {from} AND {expression} < {to})"));
            }
            let within = within.join(" OR ");
            let not = if op == Op::Eq { "" } else { "NOT " };
            return Ok(format!("{not}({within})"));
        }
        let [value] = values else {
            return Err(refused(field, "this comparison takes one value"));
        };
        let (from, to) = second(field, value)?;
        let (sign, edge) = match op {
            Op::Lt => ("<", from),
            Op::Le => ("<", to),
            Op::Gt => (">=", to),
            _ => (">=", from),
        };
        let edge = self.bind(edge);
        Ok(format!("{expression} {sign} {edge}"))
    }
}

/// The milliseconds of one second: from the first to the one after the last.
fn second(field: &Field, value: &str) -> Result<(i64, i64)> {
    let seconds: f64 = value
        .trim()
        .parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite())
        .ok_or_else(|| refused(field, "a time is a number of seconds since 1970"))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float that is too large becomes the largest number, which no time reaches"
    )]
    let from = (seconds.floor() as i64).saturating_mul(1000);
    Ok((from, from.saturating_add(1000)))
}

fn word(field: &Field, value: &str) -> Result<Value> {
    let trimmed = value.trim();
    match field.kind {
        Kind::Text | Kind::List => Ok(value.into()),
        Kind::Flag => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true.into()),
            "false" | "f" | "no" | "n" | "off" | "0" => Ok(false.into()),
            _ => Err(refused(field, &format!("{value:?} is not true or false"))),
        },
        Kind::Int | Kind::Time | Kind::Link | Kind::AtMostOne => trimmed
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| refused(field, &format!("{value:?} is not a whole number"))),
    }
}

fn refused(field: &Field, reason: &str) -> StoreError {
    StoreError::Filter {
        field: field.name.to_owned(),
        reason: reason.to_owned(),
    }
}
