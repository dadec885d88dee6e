//! Bodies of requests: what a decision needs of them, and what is changed in them. Everything else stays as it is, byte by
//! byte, so that prompt caches of providers go on to work.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::kind::Kind;
use crate::decide::{Estimate, tokens_of_bytes};

/// Bytes that an image, a sound or a file counts at most, which stands in a body in base64: 1,000 LLM tokens.
const ATTACHMENT: u64 = 4_000;
/// Bytes that a number of a prompt counts, which is an LLM token by its number.
const NUMBER: u64 = 4;

/// The members of a body that hold its prompt.
const PROMPT: [&str; 7] = ["messages", "input", "prompt", "system", "instructions", "tools", "functions"];
/// The members that say how long an answer may be; each API has its own.
const LONGEST_ANSWER: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
/// The others that are read.
const READ: [&str; 4] = ["model", "stream", "stream_options", "n"];

/// A body, as far as it is read.
#[derive(Debug)]
pub(super) struct Body<'a> {
    kind: Kind,
    bytes: &'a [u8],
    pub(super) model: String,
    model_at: Range<usize>,
    /// Whether a streamed answer is asked for.
    pub(super) stream: bool,
    stream_options: Option<&'a RawValue>,
    /// The usage that is to be expected.
    pub(super) estimate: Estimate,
    /// The end user that the provider is told of; empty if there is none.
    pub(super) end_user: String,
}

impl<'a> Body<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// The fault, for people.
    pub(super) fn read(kind: Kind, bytes: &'a [u8]) -> Result<Self, String> {
        let Members(members) =
            serde_json::from_slice(bytes).map_err(|error| format!("the body is no JSON: {error}"))?;
        let is_read = |name: &str| READ.contains(&name) || LONGEST_ANSWER.contains(&name) || PROMPT.contains(&name);
        for (index, (name, _)) in members.iter().enumerate() {
            // The provider may read the other one.
            if is_read(name) && members.iter().skip(index + 1).any(|(other, _)| other == name) {
                return Err(format!("{name}: stands in the body twice"));
            }
        }
        let member = |name: &str| members.iter().find(|(it, _)| it == name).map(|(_, value)| *value);
        let given = member("model").ok_or("model: is missing; give the model that is asked for, as gpt-4o")?;
        let model: String = serde_json::from_str(given.get()).map_err(|_| "model: is no text".to_owned())?;
        if model.trim().is_empty() {
            return Err("model: is empty; give the model that is asked for, as gpt-4o".to_owned());
        }
        let count = |name: &str| member(name).and_then(|value| serde_json::from_str::<u32>(value.get()).ok());
        let mut prompt = 0;
        for (name, value) in members.iter().filter(|(name, _)| PROMPT.contains(&name.as_str())) {
            let Text(bytes) = serde_json::from_str(value.get()).map_err(|error| format!("{name}: {error}"))?;
            prompt += bytes;
        }
        let longest = LONGEST_ANSWER.into_iter().find_map(count).map(i64::from);
        let answers = count("n").map_or(1, i64::from).max(1);
        let output_tokens = if kind.has_output() { longest.map(|longest| longest * answers) } else { Some(0) };
        let input_tokens = Some(tokens_of_bytes(i64::try_from(prompt).unwrap_or(i64::MAX)));
        Ok(Self {
            kind,
            bytes,
            model,
            model_at: place(bytes, given),
            stream: member("stream").is_some_and(|value| value.get() == "true"),
            stream_options: member("stream_options"),
            estimate: Estimate { input_tokens, output_tokens, cost_nano_usd: None },
            end_user: end_user(member),
        })
    }

    /// The body as it goes to the provider, if that is another one: for this model, and asking for usage where a streamed
    /// answer would not tell it.
    ///
    /// # Errors
    ///
    /// The fault, for people: what is to be changed is not what it should be.
    pub(super) fn rewritten(&self, model: &str) -> Result<Option<Vec<u8>>, String> {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        if model != self.model {
            changes.push((self.model_at.clone(), quoted(model)));
        }
        changes.extend(self.include_usage()?);
        if changes.is_empty() {
            return Ok(None);
        }
        changes.sort_by_key(|(at, _)| at.start);
        let (mut body, mut from) = (Vec::with_capacity(self.bytes.len() + 64), 0);
        for (at, text) in &changes {
            body.extend_from_slice(self.bytes.get(from..at.start).unwrap_or_default());
            body.extend_from_slice(text.as_bytes());
            from = at.end;
        }
        body.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        Ok(Some(body))
    }

    /// The change that makes a streamed answer tell its usage.
    fn include_usage(&self) -> Result<Option<(Range<usize>, String)>, String> {
        if !self.stream || !self.kind.asks_for_usage() {
            return Ok(None);
        }
        let Some(options) = self.stream_options else {
            let end = self.bytes.iter().rposition(|byte| *byte == b'}').unwrap_or_default();
            return Ok(Some((end..end, r#","stream_options":{"include_usage":true}"#.to_owned())));
        };
        if options.get() == "null" {
            return Ok(Some((place(self.bytes, options), r#"{"include_usage":true}"#.to_owned())));
        }
        let wrong = |_| "stream_options: is no object".to_owned();
        let Members(members) = serde_json::from_str(options.get()).map_err(wrong)?;
        let given: Vec<_> = members.iter().filter(|(name, _)| name == "include_usage").collect();
        Ok(match given.as_slice() {
            [] => {
                let start = place(self.bytes, options).start + 1;
                let comma = if members.is_empty() { "" } else { "," };
                Some((start..start, format!(r#""include_usage":true{comma}"#)))
            }
            [(_, value)] if value.get() == "true" => None,
            [(_, value)] => Some((place(self.bytes, value), "true".to_owned())),
            _ => return Err("stream_options.include_usage: stands in the body twice".to_owned()),
        })
    }
}

/// The end user in a body with these members: OpenAI's `safety_identifier`, before that `user`; Anthropic's `metadata.user_id`.
fn end_user<'a>(member: impl Fn(&str) -> Option<&'a RawValue>) -> String {
    let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
    let of_metadata = || {
        let Members(members) = serde_json::from_str(member("metadata")?.get()).ok()?;
        members.into_iter().find(|(name, _)| name == "user_id").and_then(|(_, value)| text(value))
    };
    ["safety_identifier", "user"]
        .into_iter()
        .find_map(|name| text(member(name)?))
        .or_else(of_metadata)
        .unwrap_or_default()
}

/// The place of a value in the bytes that it was read from.
fn place(bytes: &[u8], value: &RawValue) -> Range<usize> {
    let start = (value.get().as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    start..start + value.get().len()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of an object in their order, those that stand there twice too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Of)
    }
}

/// The bytes of all text in a value.
struct Text(u64);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                let length = text.len() as u64;
                Ok(Text(if text.starts_with("data:") { length.min(ATTACHMENT) } else { length }))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text(NUMBER))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(NUMBER))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(NUMBER))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(0))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                let mut sum = 0;
                while let Some(Text(bytes)) = seq.next_element()? {
                    sum += bytes;
                }
                Ok(Text(sum))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                let mut sum = 0;
                while let Some((name, Text(bytes))) = map.next_entry::<String, Text>()? {
                    // Base64 of an image, a sound or a file.
                    sum += if name == "data" { bytes.min(ATTACHMENT) } else { bytes };
                }
                Ok(Text(sum))
            }
        }

        deserializer.deserialize_any(Of)
    }
}

#[cfg(test)]
mod tests;
