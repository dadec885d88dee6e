//! Messages with anything in any field, made by reflection so that no field is forgotten.

use std::sync::LazyLock;

use proptest::prelude::*;
use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use tollgate_core::proto::FILE_DESCRIPTOR_SET;

use crate::valid::{CUSTOMER, KEY, TEAM};

/// Choices at random, used up one by one. It shrinks, and what is left when it is used up is the simplest choice.
pub struct Tape<'a>(std::slice::Iter<'a, u16>);

impl<'a> Tape<'a> {
    /// These choices.
    pub fn new(choices: &'a [u16]) -> Self {
        Self(choices.iter())
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.next().map_or(0, |choice| usize::from(*choice) % count)
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// Choices at random, for a [`Tape`].
pub fn choices() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..64)
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap());

/// The message by reflection.
pub fn dynamic<M: Message + Name>(message: &M) -> DynamicMessage {
    let descriptor = POOL.get_message_by_name(&M::full_name()).unwrap();
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap()
}

/// Sets up to three fields of `message` to anything.
pub fn edited<M: Message + Name + Default>(message: &M, tape: &mut Tape<'_>) -> M {
    let mut message = dynamic(message);
    let fields: Vec<_> = message.descriptor().fields().collect();
    for _ in 0..tape.below(4) {
        let field = tape.of(&fields);
        message.set_field(&field, anything(&field, tape, 0));
    }
    message.transcode_to().unwrap()
}

/// Sets the fields with these names to anything.
pub fn overwritten<M: Message + Name + Default>(message: &M, names: &[&str], tape: &mut Tape<'_>) -> M {
    let mut message = dynamic(message);
    for name in names {
        let field = message.descriptor().get_field_by_name(name).unwrap();
        message.set_field(&field, anything(&field, tape, 0));
    }
    message.transcode_to().unwrap()
}

/// A message with anything in every field.
pub fn wild<M: Message + Name + Default>(tape: &mut Tape<'_>) -> M {
    wild_message(POOL.get_message_by_name(&M::full_name()).unwrap(), tape, 0).transcode_to().unwrap()
}

fn wild_message(descriptor: MessageDescriptor, tape: &mut Tape<'_>, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if depth < 4 && tape.below(3) != 0 {
            message.set_field(&field, anything(&field, tape, depth));
        }
    }
    message
}

fn anything(field: &FieldDescriptor, tape: &mut Tape<'_>, depth: usize) -> Value {
    let count = if field.is_list() || field.is_map() { tape.below(4) } else { 1 };
    if field.is_list() {
        Value::List((0..count).map(|_| single(&field.kind(), tape, depth)).collect())
    } else if let Kind::Message(entry) = field.kind()
        && entry.is_map_entry()
    {
        let value = entry.map_entry_value_field().kind();
        Value::Map((0..count).map(|_| (MapKey::String(text(tape)), single(&value, tape, depth))).collect())
    } else {
        single(&field.kind(), tape, depth)
    }
}

fn single(kind: &Kind, tape: &mut Tape<'_>, depth: usize) -> Value {
    match kind {
        Kind::Bool => Value::Bool(tape.below(2) == 1),
        Kind::Double => Value::F64(tape.of(&[
            0.0,
            1.0,
            0.5,
            -0.0,
            -1.0,
            1e-12,
            9.2e9,
            1e300,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ])),
        Kind::Int32 => Value::I32(tape.of(&[0, 1, -1, i32::MAX, i32::MIN])),
        Kind::Int64 => Value::I64(tape.of(&[0, 1, -1, 101, i64::MAX, i64::MIN])),
        Kind::Enum(_) => Value::EnumNumber(tape.of(&[0, 1, 2, 3, 4, 5, 6, 7, -1, 99])),
        Kind::String => Value::String(text(tape)),
        Kind::Bytes => Value::Bytes(text(tape).into_bytes().into()),
        Kind::Message(descriptor) => Value::Message(wild_message(descriptor.clone(), tape, depth + 1)),
        other => panic!("no field of a resource is of {other:?}"),
    }
}

fn text(tape: &mut Tape<'_>) -> String {
    const TEXTS: &[&str] = &[
        "",
        " ",
        " a ",
        "a",
        "A",
        "*",
        "a*",
        "**",
        "/",
        "openai",
        "groq/x",
        "openai/",
        "nobody",
        "openai-key",
        CUSTOMER,
        TEAM,
        KEY,
        "1d",
        "24h",
        "30d",
        "1M",
        "7d",
        "1w",
        "0s",
        "11Y",
        "\u{7}",
        "ü",
        "\u{2028}",
        "\t",
        "\r\n",
        "model == 'a'",
        "headers['X']",
        "1 +",
        "(",
        "tg_",
    ];
    match tape.below(TEXTS.len() + 1) {
        place if place < TEXTS.len() => TEXTS[place].to_owned(),
        _ => "x".repeat(1_025),
    }
}
