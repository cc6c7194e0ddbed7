//! MessagePack in place: what is looked at is borrowed from the frame, what is not is skipped, and both count.

mod reader;
mod writer;

pub(crate) use reader::{Kind, Reader};
pub(crate) use writer::Writer;
