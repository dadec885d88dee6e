use std::fmt::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const JSON: Head<'static> = Head { status: 200, content_type: "application/json", content_encoding: "" };
const EVENTS: Head<'static> =
    Head { status: 200, content_type: "text/event-stream; charset=utf-8", content_encoding: "" };

fn metered(kind: Kind, head: Head<'_>, body: &[u8], length: usize) -> Reading {
    let mut meter = Meter::new(kind, head);
    for piece in body.chunks(length) {
        meter.feed(piece);
    }
    meter.end();
    meter.reading()
}

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn events(data: &[&str]) -> String {
    data.iter().fold(String::new(), |mut text, data| {
        write!(text, "event: e\ndata: {data}\n\n").unwrap();
        text
    })
}

/// An answer: its head and body, its input and output, and the bytes of its text.
type Answer = (Kind, Head<'static>, String, (i64, i64), Option<i64>);

/// Answers of each kind as providers give them.
fn answers() -> Vec<Answer> {
    vec![
        (
            Kind::ChatCompletion,
            JSON,
            r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"{\"usage\":{}}"}}],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}"#.to_owned(),
            (12, 34),
            None,
        ),
        (
            Kind::ChatCompletion,
            EVENTS,
            events(&[
                r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":null}"#,
                r#"{"choices":[{"index":0,"delta":{"content":" you"},"finish_reason":"stop"}],"usage":null}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":2}}"#,
                "[DONE]",
            ]),
            (12, 2),
            Some(9),
        ),
        (
            Kind::TextCompletion,
            EVENTS,
            events(&[r#"{"choices":[{"text":"Hello"}]}"#, r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#]),
            (1, 2),
            Some(5),
        ),
        (
            Kind::Responses,
            JSON,
            r#"{"object":"response","output":[{"content":[{"text":"Hi"}]}],"usage":{"input_tokens":7,"output_tokens":8}}"#.to_owned(),
            (7, 8),
            None,
        ),
        (
            Kind::Responses,
            EVENTS,
            events(&[
                r#"{"type":"response.created","response":{"output":[],"usage":null}}"#,
                r#"{"type":"response.output_text.delta","delta":"Hello"}"#,
                r#"{"type":"response.output_text.done","text":"Hello"}"#,
                r#"{"type":"response.completed","response":{"output":[{"text":"Hello"}],"usage":{"input_tokens":7,"output_tokens":8}}}"#,
            ]),
            (7, 8),
            Some(5),
        ),
        (
            Kind::Messages,
            EVENTS,
            events(&[
                r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"text":"Hello"}}"#,
                r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":15}}"#,
                r#"{"type":"message_stop"}"#,
            ]),
            (7, 15),
            Some(5),
        ),
    ]
}

#[test]
fn usage_is_read_whatever_the_pieces_and_gzip_are() {
    for (kind, head, body, (input, output), text) in answers() {
        let gzip = zipped(body.as_bytes());
        for length in [1, 2, 3, 5, 16, 1_000] {
            for (encoding, bytes) in [("", body.as_bytes()), ("gzip", &gzip)] {
                let head = Head { content_encoding: encoding, ..head };
                let reading = metered(kind, head, bytes, length);
                let read = (reading.tokens.input, reading.tokens.output, reading.text, reading.is_whole);
                assert_eq!(read, (Some(input), Some(output), text, true), "{kind:?} {length} {encoding}: {body}");
            }
        }
    }
}

#[test]
fn lines_may_end_in_any_way_and_events_may_be_broken() {
    let usage = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    for body in [
        format!("data:{usage}\r\n\r\n"),
        format!(": a comment\ndata: {{\"a\":\"no end\n\ndata: {usage}\n\n"),
        format!("data: {usage}\ndata: [DONE]\n"),
        "data: {\"usage\":\r\ndata: {\"prompt_tokens\":1,\r\ndata: \"completion_tokens\":2}}\r\n\r\n".to_owned(),
        format!("database: x\ndata\nd: x\n\ndata: {usage}"),
    ] {
        for length in [1, 3, body.len()] {
            let reading = metered(Kind::ChatCompletion, EVENTS, body.as_bytes(), length);
            assert_eq!((reading.tokens.input, reading.tokens.output), (Some(1), Some(2)), "{length}: {body}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_tells_what_is_known() {
    let (kind, head, body, ..) = answers().pop().unwrap();
    let cut = body.find("message_delta").unwrap();
    let mut meter = Meter::new(kind, head);
    meter.feed(&body.as_bytes()[..cut]);
    let reading = meter.reading();
    let known = (reading.tokens.input, reading.tokens.output, reading.text, reading.is_whole);
    assert_eq!(known, (Some(7), Some(1), Some(5), false));
}

#[test]
fn what_cannot_be_read_is_no_usage() {
    let json = br#"{"usage":{"prompt_tokens":1}}"#;
    let half = &zipped(json)[..12];
    for (head, body) in [
        (Head { content_encoding: "br", ..JSON }, &json[..]),
        (Head { content_encoding: "gzip", ..JSON }, json),
        (Head { content_encoding: "gzip", ..JSON }, half),
        (JSON, b"\xff\xfe{}}}"),
        (JSON, b""),
    ] {
        let reading = metered(Kind::ChatCompletion, head, body, 7);
        assert_eq!((reading.tokens, reading.text), (Tokens::default(), None), "{head:?}");
    }
}

/// A large answer costs no memory: nothing of it is kept but the usage.
#[test]
fn a_large_answer_is_read_to_its_end() {
    let body = format!(r#"{{"data":[{}],"usage":{{"prompt_tokens":5}}}}"#, vec!["0.123"; 2_000_000].join(","));
    let reading = metered(Kind::Embeddings, JSON, body.as_bytes(), 65_536);
    assert_eq!(reading.tokens.input, Some(5));
}
