//! Which fields a resource has, where they are stored, and how they compare.

/// How the values of a field compare with the words of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// 0 or 1.
    Flag,
    /// Stored in milliseconds, asked for in seconds.
    Time,
    /// A text, compared by its bytes.
    Text,
    /// A JSON array of texts: `contains` asks for a member.
    List,
    /// Rows of a link table: `eq` and `contains` ask for a linked id. The expression is a column and a subselect that
    /// ends before the condition on `link`'s column, for instance `t.id IN (SELECT x.a FROM x WHERE x.b`: so the linked
    /// rows are looked up first, instead of asking each row of the table for its links.
    Link,
    /// A list of one whole number at most, stored as that number or as NULL: `contains` asks for it.
    AtMostOne,
}

/// What is known about the values of a field. SQLite keeps no statistics, and would rather follow the order that is asked for
/// than find few rows and sort them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Nothing.
    Unknown,
    /// Few rows have 0, and a partial index finds them.
    ZeroIsRare,
    /// It grows with the ids, more or less, has an index, and is asked for from some point on.
    Recent,
}

/// A field of the REST API.
#[derive(Debug)]
pub struct Field {
    /// Its name there.
    pub name: &'static str,
    /// The SQL expression over the table's alias `t` and its joins.
    pub expression: &'static str,
    /// How it compares.
    pub kind: Kind,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether NULL is unlike every value. A stock master says so where it compares rows in memory, and not where its database does.
    pub null_differs: bool,
    /// What is known about its values.
    pub spread: Spread,
}

const fn field(name: &'static str, expression: &'static str, kind: Kind) -> Field {
    Field {
        name,
        expression,
        kind,
        nullable: false,
        null_differs: false,
        spread: Spread::Unknown,
    }
}

pub(super) const fn int(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::Int)
}

pub(super) const fn flag(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::Flag)
}

pub(super) const fn time(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::Time)
}

pub(super) const fn text(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::Text)
}

pub(super) const fn list(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::List)
}

pub(super) const fn at_most_one(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::AtMostOne).null()
}

pub(super) const fn link(name: &'static str, expression: &'static str) -> Field {
    field(name, expression, Kind::Link)
}

impl Field {
    /// The same, and it may be NULL.
    pub(super) const fn null(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    /// The same, and it may be NULL, which is unlike every value.
    pub(super) const fn null_that_differs(self) -> Self {
        Self {
            nullable: true,
            null_differs: true,
            ..self
        }
    }

    /// The same, and this is known about its values.
    pub(super) const fn spread(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }
}

/// A resource's table.
#[derive(Debug)]
pub struct Table {
    /// Name of the resource, for messages.
    pub resource: &'static str,
    /// The table, with the alias `t`.
    pub from: &'static str,
    /// The columns in the order in which a row is read.
    pub columns: &'static str,
    /// The fields that can be filtered and sorted by.
    pub fields: &'static [Field],
}
