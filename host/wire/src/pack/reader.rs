//! Reads values from a frame, within limits.

use bytes::Bytes;
use rmp::Marker;

use crate::error::ProtocolError;
use crate::limits::Limits;

type Result<T> = std::result::Result<T, ProtocolError>;

/// Fewer bytes are copied out of their frame: that costs less than what they would keep in memory.
const SHARED_BYTES_MIN: usize = 4 * 1024;

/// A place in a frame. Cheap to clone: to look at a value later, keep the reader that stands before it.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'f> {
    frame: &'f Bytes,
    at: usize,
    values_left: u32,
    limits: &'f Limits,
}

/// What the next value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Integer,
    Float,
    Text,
    Bytes,
    List,
    Map,
    Other,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Bool => "a truth value",
            Self::Integer => "an integer",
            Self::Float => "a number with a fraction",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Other => "an extension",
        }
    }

    fn of(marker: Marker) -> Self {
        match marker {
            Marker::Null => Self::Nil,
            Marker::True | Marker::False => Self::Bool,
            Marker::FixPos(_)
            | Marker::FixNeg(_)
            | Marker::U8
            | Marker::U16
            | Marker::U32
            | Marker::U64
            | Marker::I8
            | Marker::I16
            | Marker::I32
            | Marker::I64 => Self::Integer,
            Marker::F32 | Marker::F64 => Self::Float,
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => Self::Text,
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => Self::Bytes,
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => Self::List,
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => Self::Map,
            _ => Self::Other,
        }
    }
}

impl<'f> Reader<'f> {
    /// Stands before the first value of a frame that is not too long.
    pub(crate) fn new(frame: &'f Bytes, limits: &'f Limits) -> Result<Self> {
        if frame.len() > limits.frame_bytes_max {
            return Err(ProtocolError::FrameTooLong {
                bytes: frame.len(),
                limit: limits.frame_bytes_max,
            });
        }
        Ok(Self {
            frame,
            at: 0,
            values_left: limits.frame_values_max,
            limits,
        })
    }

    pub(crate) fn limits(&self) -> &'f Limits {
        self.limits
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        match self.frame.len() - self.at {
            0 => Ok(()),
            left => Err(ProtocolError::Trailing(left)),
        }
    }

    pub(crate) fn peek(&self) -> Result<Kind> {
        let byte = self.frame.get(self.at).ok_or(ProtocolError::Truncated)?;
        Ok(Kind::of(Marker::from_u8(*byte)))
    }

    fn take(&mut self, count: usize) -> Result<&'f [u8]> {
        let end = self.at.checked_add(count).ok_or(ProtocolError::Truncated)?;
        let taken = self
            .frame
            .get(self.at..end)
            .ok_or(ProtocolError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn length8(&mut self) -> Result<usize> {
        Ok(usize::from(u8::from_be_bytes(self.number()?)))
    }

    fn length16(&mut self) -> Result<usize> {
        Ok(usize::from(u16::from_be_bytes(self.number()?)))
    }

    fn length32(&mut self) -> Result<usize> {
        let length = u32::from_be_bytes(self.number()?);
        usize::try_from(length).map_err(|_| ProtocolError::Truncated)
    }

    fn marker(&mut self) -> Result<Marker> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(ProtocolError::TooMuch {
                what: "values",
                limit: u64::from(self.limits.frame_values_max),
                limit_name: "frame_values_max",
            })?;
        Ok(Marker::from_u8(self.take(1)?[0]))
    }

    fn wrong<T>(field: &'static str, expected: &'static str, marker: Marker) -> Result<T> {
        Err(ProtocolError::WrongType {
            field,
            expected,
            found: Kind::of(marker).name(),
        })
    }

    /// How many pairs follow.
    pub(crate) fn map(&mut self, field: &'static str) -> Result<usize> {
        match self.marker()? {
            Marker::FixMap(length) => Ok(usize::from(length)),
            Marker::Map16 => self.length16(),
            Marker::Map32 => self.length32(),
            other => Self::wrong(field, "a map", other),
        }
    }

    /// How many values follow.
    pub(crate) fn list(&mut self, field: &'static str) -> Result<usize> {
        match self.marker()? {
            Marker::FixArray(length) => Ok(usize::from(length)),
            Marker::Array16 => self.length16(),
            Marker::Array32 => self.length32(),
            other => Self::wrong(field, "a list", other),
        }
    }

    /// Text or bytes: which of the two a peer sends differs between languages.
    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'f [u8]> {
        let length = match self.marker()? {
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 | Marker::Bin8 => self.length8()?,
            Marker::Str16 | Marker::Bin16 => self.length16()?,
            Marker::Str32 | Marker::Bin32 => self.length32()?,
            other => return Self::wrong(field, "a text", other),
        };
        self.take(length)
    }

    /// Bytes that outlive the frame. They share its memory only if they are most of it: whoever waits for one line must not
    /// keep megabytes that came beside it.
    pub(crate) fn kept(&mut self, field: &'static str) -> Result<Bytes> {
        let bytes = self.bytes(field)?;
        if bytes.len() < SHARED_BYTES_MIN || bytes.len() < self.frame.len() / 2 {
            return Ok(Bytes::copy_from_slice(bytes));
        }
        Ok(self.frame.slice_ref(bytes))
    }

    /// A text; what is not UTF-8 in it is replaced.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<String> {
        let bytes = self.bytes(field)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A short text, by which something is known.
    pub(crate) fn name(&mut self, field: &'static str) -> Result<String> {
        let limit = self.limits.name_bytes_max;
        let bytes = self.bytes(field)?;
        if bytes.len() > limit {
            return Err(ProtocolError::TooMuch {
                what: "bytes in a name",
                limit: limit as u64,
                limit_name: "name_bytes_max",
            });
        }
        let name = std::str::from_utf8(bytes).map_err(|_| ProtocolError::WrongType {
            field,
            expected: "a name in UTF-8",
            found: "other bytes",
        })?;
        Ok(name.to_owned())
    }

    /// A text for people, cut to what they will read.
    pub(crate) fn reason(&mut self, field: &'static str) -> Result<String> {
        let limit = self.limits.reason_bytes_max;
        let bytes = self.bytes(field)?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]);
        // What is no UTF-8 becomes longer when it is replaced.
        Ok(text[..text.floor_char_boundary(limit.min(text.len()))].to_owned())
    }

    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool> {
        match self.marker()? {
            Marker::True => Ok(true),
            Marker::False => Ok(false),
            // What a truth value is in Python.
            Marker::FixPos(number @ (0 | 1)) => Ok(number == 1),
            other => Self::wrong(field, "a truth value", other),
        }
    }

    pub(crate) fn integer(&mut self, field: &'static str) -> Result<i64> {
        let too_large = |_| ProtocolError::WrongType {
            field,
            expected: "an integer of 63 bits",
            found: "a larger one",
        };
        match self.marker()? {
            Marker::FixPos(number) => Ok(i64::from(number)),
            Marker::FixNeg(number) => Ok(i64::from(number)),
            Marker::U8 => Ok(i64::from(u8::from_be_bytes(self.number()?))),
            Marker::U16 => Ok(i64::from(u16::from_be_bytes(self.number()?))),
            Marker::U32 => Ok(i64::from(u32::from_be_bytes(self.number()?))),
            Marker::U64 => i64::try_from(u64::from_be_bytes(self.number()?)).map_err(too_large),
            Marker::I8 => Ok(i64::from(i8::from_be_bytes(self.number()?))),
            Marker::I16 => Ok(i64::from(i16::from_be_bytes(self.number()?))),
            Marker::I32 => Ok(i64::from(i32::from_be_bytes(self.number()?))),
            Marker::I64 => Ok(i64::from_be_bytes(self.number()?)),
            other => Self::wrong(field, "an integer", other),
        }
    }

    /// An integer that is no less than zero.
    pub(crate) fn count(&mut self, field: &'static str) -> Result<u64> {
        let number = self.integer(field)?;
        u64::try_from(number).map_err(|_| ProtocolError::WrongType {
            field,
            expected: "a number that is not negative",
            found: "a negative one",
        })
    }

    /// A number with or without a fraction; never infinite.
    pub(crate) fn float(&mut self, field: &'static str) -> Result<f64> {
        let number = match self.peek()? {
            Kind::Integer => self.integer(field)? as f64,
            _ => match self.marker()? {
                Marker::F32 => f64::from(f32::from_be_bytes(self.number()?)),
                Marker::F64 => f64::from_be_bytes(self.number()?),
                other => return Self::wrong(field, "a number", other),
            },
        };
        if number.is_finite() {
            return Ok(number);
        }
        Err(ProtocolError::WrongType {
            field,
            expected: "a number",
            found: "not a finite one",
        })
    }

    /// `None` for nothing.
    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.peek()? == Kind::Nil {
            self.marker()?;
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// Every value of a list. Reserves nothing for what is only announced.
    pub(crate) fn each<T>(
        &mut self,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.list(field)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }

    /// Goes behind the next value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let Some(children) = self.skip_one()? else {
            return Ok(());
        };
        // Values that are still to come on each level below the first; no recursion, so that depth costs a number.
        let mut open: Vec<usize> = vec![children];
        while let Some(left) = open.last_mut() {
            if *left == 0 {
                open.pop();
                continue;
            }
            *left -= 1;
            let Some(children) = self.skip_one()? else {
                continue;
            };
            if open.len() + 1 >= usize::from(self.limits.frame_depth_max) {
                return Err(ProtocolError::TooMuch {
                    what: "levels",
                    limit: u64::from(self.limits.frame_depth_max),
                    limit_name: "frame_depth_max",
                });
            }
            open.push(children);
        }
        Ok(())
    }

    /// Goes behind the next value, or into it; then says how many values are in it.
    fn skip_one(&mut self) -> Result<Option<usize>> {
        let length = match self.marker()? {
            Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => {
                0
            }
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 | Marker::Bin8 => self.length8()?,
            Marker::Str16 | Marker::Bin16 => self.length16()?,
            Marker::Str32 | Marker::Bin32 => self.length32()?,
            Marker::FixArray(count) => return Ok(Some(usize::from(count))),
            Marker::Array16 => return self.length16().map(Some),
            Marker::Array32 => return self.length32().map(Some),
            Marker::FixMap(count) => return Ok(Some(2 * usize::from(count))),
            Marker::Map16 => return self.length16().map(|count| Some(count * 2)),
            Marker::Map32 => return self.length32().map(|count| Some(count.saturating_mul(2))),
            other => return Self::wrong("a value", "one of the protocol's types", other),
        };
        self.take(length)?;
        Ok(None)
    }
}
