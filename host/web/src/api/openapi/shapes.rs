//! JSON Schemas in few words.

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};

/// A schema, or where it is.
pub(super) type Shape = RefOr<Schema>;

fn typed(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(kind))
}

/// A whole number.
pub(super) fn int() -> Shape {
    integer().into()
}

fn integer() -> ObjectBuilder {
    typed(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

/// A whole number of any length.
pub(super) fn whole() -> Shape {
    typed(Type::Integer).into()
}

/// A whole number of 32 bits.
pub(super) fn int32() -> Shape {
    typed(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(i32::MIN))
        .maximum(Some(i32::MAX))
        .into()
}

/// A whole number from 0 to a greatest one.
pub(super) fn count(max: u32) -> Shape {
    between(0, max)
}

/// A whole number from a least to a greatest one.
pub(super) fn between(min: u32, max: u32) -> Shape {
    integer().minimum(Some(min)).maximum(Some(max)).into()
}

/// Seconds since the epoch.
pub(super) fn time() -> Shape {
    integer()
        .description(Some("Seconds since 1970-01-01 00:00 UTC."))
        .into()
}

/// Any text.
pub(super) fn text() -> Shape {
    typed(Type::String).into()
}

/// Any text but the empty one.
pub(super) fn some_text() -> Shape {
    typed(Type::String).min_length(Some(1)).into()
}

/// A text that a pattern describes.
pub(super) fn pattern(pattern: &str) -> Shape {
    typed(Type::String).pattern(Some(pattern)).into()
}

/// A text of at most so many characters.
pub(super) fn short_text(characters_max: usize) -> Shape {
    typed(Type::String)
        .min_length(Some(1))
        .max_length(Some(characters_max))
        .into()
}

/// A text that is not only spaces, of at most so many characters.
pub(super) fn label(characters_max: usize) -> Shape {
    typed(Type::String)
        .pattern(Some(r"\S"))
        .max_length(Some(characters_max))
        .into()
}

/// One of these words.
pub(super) fn one_of<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Shape {
    let words = words.into_iter().map(|word| word.into());
    typed(Type::String)
        .enum_values(Some(words.collect::<Vec<String>>()))
        .into()
}

/// A truth value.
pub(super) fn truth() -> Shape {
    typed(Type::Boolean).into()
}

/// Nothing but null.
pub(super) fn null() -> Shape {
    typed(Type::Null).into()
}

/// Any value.
pub(super) fn any() -> Shape {
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .into()
}

/// Bytes.
pub(super) fn bytes() -> Shape {
    typed(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .into()
}

/// A list.
pub(super) fn list(of: Shape) -> Shape {
    ArrayBuilder::new().items(of).into()
}

/// A list of so many.
pub(super) fn list_of(of: Shape, count: std::ops::RangeInclusive<usize>) -> Shape {
    ArrayBuilder::new()
        .items(of)
        .min_items(Some(*count.start()))
        .max_items(Some(*count.end()))
        .into()
}

/// A list of just one.
pub(super) fn only(of: Shape) -> Shape {
    list_of(of, 1..=1)
}

/// Either of them.
pub(super) fn either(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let either = AnyOfBuilder::new();
    shapes.into_iter().fold(either, AnyOfBuilder::item).into()
}

/// That, or null.
pub(super) fn or_null(shape: Shape) -> Shape {
    either([shape, null()])
}

/// An object of any names, each with a value of this shape.
pub(super) fn map(of: Shape) -> Shape {
    typed(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(of)))
        .into()
}

/// An object with these members, all of which are there.
pub(super) fn object<'n>(members: impl IntoIterator<Item = (&'n str, Shape)>) -> Shape {
    let object = members
        .into_iter()
        .fold(typed(Type::Object), |object, (name, shape)| {
            object.property(name, shape).required(name)
        });
    object.into()
}

/// An object with these members, each of which may be missing.
pub(super) fn loose_object<'n>(members: impl IntoIterator<Item = (&'n str, Shape)>) -> Shape {
    let object = members
        .into_iter()
        .fold(typed(Type::Object), |object, (name, shape)| {
            object.property(name, shape)
        });
    object.into()
}

/// An object with these members and no others, of which these are needed.
pub(super) fn closed_object<'n>(
    members: impl IntoIterator<Item = (String, Shape)>,
    required: impl IntoIterator<Item = &'n str>,
) -> Shape {
    let closed = AdditionalProperties::<Schema>::FreeForm(false);
    needing(members, required)
        .additional_properties(Some(closed))
        .into()
}

/// An object with these members, of which these are needed, and any others.
pub(super) fn open_object<'n>(
    members: impl IntoIterator<Item = (String, Shape)>,
    required: impl IntoIterator<Item = &'n str>,
) -> Shape {
    needing(members, required).into()
}

fn needing<'n>(
    members: impl IntoIterator<Item = (String, Shape)>,
    required: impl IntoIterator<Item = &'n str>,
) -> ObjectBuilder {
    let members = members.into_iter();
    let object = members.fold(typed(Type::Object), |object, (name, shape)| {
        object.property(name, shape)
    });
    let required = required.into_iter();
    required.fold(object, ObjectBuilder::required)
}

/// The component of this name.
pub(super) fn component(name: impl Into<String>) -> Shape {
    RefOr::Ref(Ref::from_schema_name(name))
}
