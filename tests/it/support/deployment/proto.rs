//! Protocol buffers by hand, so that the doubles do not share the code under test.

/// A message that is written field by field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    /// Left out if it is zero, as proto3 does.
    pub(crate) fn number(mut self, field: u64, number: u64) -> Self {
        if number != 0 {
            self.varint(field << 3);
            self.varint(number);
        }
        self
    }

    /// Present even if it is empty.
    pub(crate) fn message(mut self, field: u64, message: &Self) -> Self {
        self.varint(field << 3 | 2);
        self.varint(message.0.len() as u64);
        self.0.extend_from_slice(&message.0);
        self
    }

    pub(crate) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.varint(field << 3 | 2);
            self.varint(bytes.len() as u64);
            self.0.extend_from_slice(bytes);
        }
        self
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// The fields of a message, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(u64, Value)>);

#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Fields {
    /// `None`: it is no message.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = take_varint(&mut bytes)?;
            let value = match key & 7 {
                0 => Value::Number(take_varint(&mut bytes)?),
                1 => Value::Bytes(take(&mut bytes, 8)?),
                2 => {
                    let length = take_varint(&mut bytes)?;
                    Value::Bytes(take(&mut bytes, usize::try_from(length).ok()?)?)
                }
                5 => Value::Bytes(take(&mut bytes, 4)?),
                _ => return None,
            };
            fields.push((key >> 3, value));
        }
        Some(Self(fields))
    }

    pub(crate) fn text(&self, field: u64) -> String {
        let found = self.0.iter().rev().find(|(number, _)| *number == field);
        match found {
            Some((_, Value::Bytes(bytes))) => String::from_utf8(bytes.clone()).unwrap(),
            _ => String::new(),
        }
    }

    pub(crate) fn number(&self, field: u64) -> u64 {
        let found = self.0.iter().rev().find(|(number, _)| *number == field);
        match found {
            Some((_, Value::Number(number))) => *number,
            _ => 0,
        }
    }

    pub(crate) fn message(&self, field: u64) -> Option<Self> {
        self.messages(field).pop()
    }

    pub(crate) fn messages(&self, field: u64) -> Vec<Self> {
        let all = self.0.iter().filter(|(number, _)| *number == field);
        all.filter_map(|(_, value)| match value {
            Value::Bytes(bytes) => Self::read(bytes),
            Value::Number(_) => None,
        })
        .collect()
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take(bytes: &mut &[u8], length: usize) -> Option<Vec<u8>> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken.to_vec())
}
