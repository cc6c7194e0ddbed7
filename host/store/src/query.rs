//! What to list: filters, order and page, by the field names of the REST API.

/// Rows that one list call gives at most, whatever limit was asked for.
pub const ROWS_PER_LIST_MAX: u32 = 10_000;

/// Ids that one call gives at most.
pub const IDS_PER_LIST_MAX: u32 = 1_000_000;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Equal to any of the values.
    Eq,
    /// Equal to none of the values. NULL is, where the field says so; elsewhere it is neither equal nor unequal.
    Ne,
    /// Less than the value.
    Lt,
    /// Less than or equal to the value.
    Le,
    /// Greater than the value.
    Gt,
    /// Greater than or equal to the value.
    Ge,
    /// Has any of the values as a part (text) or as a member (lists).
    Contains,
}

impl Op {
    /// The operator with Buildbot's name (`eq`, `ne`, `lt`, `le`, `gt`, `ge`, `contains`, `in`, `notin`); `in` is another name of
    /// `eq`, which takes several values as well.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "eq" | "in" => Self::Eq,
            "ne" | "notin" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "contains" => Self::Contains,
            _ => return None,
        })
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Name of the field in the REST API.
    pub field: String,
    /// How it is compared.
    pub op: Op,
    /// As written in the URL: whole seconds for times, `true`/`false`/`1`/`0` for flags.
    pub values: Vec<String>,
}

/// One sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Name of the field in the REST API.
    pub field: String,
    /// Largest first.
    pub descending: bool,
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// All of them must hold.
    pub filters: Vec<Filter>,
    /// First key first; the id decides between equals.
    pub order: Vec<Order>,
    /// Rows at most; never more than [`ROWS_PER_LIST_MAX`].
    pub limit: Option<u32>,
    /// Rows to pass over.
    pub offset: u32,
}

impl Query {
    /// Everything, in the order of ids.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only where `field` compares like this with `value`.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers pass ids and literals, which read better without a borrow"
    )]
    pub fn filter(mut self, field: &str, op: Op, value: impl ToString) -> Self {
        self.filters.push(Filter {
            field: field.to_owned(),
            op,
            values: vec![value.to_string()],
        });
        self
    }

    /// Only where `field` is `value`.
    #[must_use]
    pub fn eq(self, field: &str, value: impl ToString) -> Self {
        self.filter(field, Op::Eq, value)
    }

    /// Sorted by this key too; a leading `-` means largest first.
    #[must_use]
    pub fn order(mut self, key: &str) -> Self {
        let (field, descending) = key
            .strip_prefix('-')
            .map_or((key, false), |field| (field, true));
        self.order.push(Order {
            field: field.to_owned(),
            descending,
        });
        self
    }

    /// So many rows at most.
    #[must_use]
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Passes over so many rows.
    #[must_use]
    pub fn offset(mut self, rows: u32) -> Self {
        self.offset = rows;
        self
    }
}
