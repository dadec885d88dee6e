use super::*;

fn read(kind: Kind, text: &str) -> Body<'_> {
    Body::read(kind, text.as_bytes()).unwrap()
}

fn rewritten(kind: Kind, text: &str, model: &str) -> Option<String> {
    read(kind, text).rewritten(model).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn the_end_user_is_read_where_each_api_has_it() {
    for (text, end_user) in [
        (r#"{"model":"m","user":"ada"}"#, "ada"),
        (r#"{"model":"m","user":"ada","safety_identifier":"a-1"}"#, "a-1"),
        (r#"{"model":"m","metadata":{"a":[1],"user_id":"eve"}}"#, "eve"),
        (r#"{"model":"m","user":7,"metadata":"x"}"#, ""),
        (r#"{"model":"m"}"#, ""),
    ] {
        assert_eq!(read(Kind::ChatCompletion, text).end_user, end_user, "{text}");
    }
}

#[test]
fn what_is_to_be_expected_is_read_from_each_kind() {
    for (kind, text, model, stream, input, output) in [
        (
            Kind::ChatCompletion,
            r#"{"messages":[{"role":"user","content":"12345678"}],"model":"gpt-4o","max_tokens":7,"n":3,"stream":true}"#,
            "gpt-4o",
            true,
            3,
            Some(21),
        ),
        (
            Kind::ChatCompletion,
            r#"{"model":"o3","max_tokens":7,"max_completion_tokens":9,"messages":[],"stream":false}"#,
            "o3",
            false,
            0,
            Some(9),
        ),
        (Kind::TextCompletion, r#"{"model":"m","prompt":["1234","5678"]}"#, "m", false, 2, None),
        (
            Kind::Responses,
            r#"{"model":"m","input":"1234","instructions":"5678","max_output_tokens":5}"#,
            "m",
            false,
            2,
            Some(5),
        ),
        (Kind::Embeddings, r#"{"model":"m","input":[[1,2,3],[4]],"max_tokens":5}"#, "m", false, 4, Some(0)),
        (
            Kind::Messages,
            r#"{"model":"claude","max_tokens":5,"system":"1234","messages":[{"role":"user","content":[{"type":"text","text":"12345678"}]}]}"#,
            "claude",
            false,
            5,
            Some(5),
        ),
        // Numbers that cannot be are not known.
        (Kind::ChatCompletion, r#"{"model":"m","max_tokens":-5,"n":"x","stream":1}"#, "m", false, 0, None),
    ] {
        let body = read(kind, text);
        let estimate = (body.estimate.input_tokens, body.estimate.output_tokens);
        assert_eq!((body.model.as_str(), body.stream, estimate), (model, stream, (Some(input), output)), "{text}");
    }
}

#[test]
fn images_are_not_counted_as_text() {
    let image = "A".repeat(1 << 20);
    for part in [
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{image}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{image}"}}}}"#),
        format!(r#"{{"type":"input_audio","input_audio":{{"data":"{image}","format":"wav"}}}}"#),
    ] {
        let text = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        let tokens = read(Kind::ChatCompletion, &text).estimate.input_tokens.unwrap();
        assert!((1_000..1_100).contains(&tokens), "{tokens} LLM tokens");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    for (text, said) in [
        ("", "the body is no JSON"),
        ("[]", "the body is no JSON"),
        (r#"{"model":"m""#, "the body is no JSON"),
        (r#"{"model":"m"} {"model":"other"}"#, "the body is no JSON"),
        (r#"{"messages":[]}"#, "model: is missing"),
        (r#"{"model":3}"#, "model: is no text"),
        (r#"{"model":" "}"#, "model: is empty"),
        (r#"{"model":"cheap","model":"dear"}"#, "model: stands in the body twice"),
        (r#"{"model":"cheap","mod\u0065l":"dear"}"#, "model: stands in the body twice"),
        (r#"{"model":"m","stream":false,"stream":true}"#, "stream: stands in the body twice"),
    ] {
        let error = Body::read(Kind::ChatCompletion, text.as_bytes()).unwrap_err();
        assert!(error.starts_with(said), "{text}: {error}");
    }
    assert!(Body::read(Kind::ChatCompletion, b"{\"model\":\"\xff\"}").is_err());
    let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let error = Body::read(Kind::ChatCompletion, deep.as_bytes()).unwrap_err();
    assert!(error.starts_with("messages: "), "{error}");
}

#[test]
fn a_body_is_changed_only_where_it_must_be() {
    let chat = Kind::ChatCompletion;
    for (kind, text, model, expected) in [
        (chat, r#"{"model":"m","messages":[]}"#, "m", None),
        (chat, r#"{ "a" : 1.50, "model" : "x/m" ,"z":[]}"#, "m", Some(r#"{ "a" : 1.50, "model" : "m" ,"z":[]}"#)),
        (chat, r#"{"model":"m"}"#, r#"a "b""#, Some(r#"{"model":"a \"b\""}"#)),
        (
            chat,
            r#"{"stream":true,"model":"m"}"#,
            "o",
            Some(r#"{"stream":true,"model":"o","stream_options":{"include_usage":true}}"#),
        ),
        (
            chat,
            r#"{"stream":true,"stream_options":{},"model":"m"} "#,
            "m",
            Some(r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"} "#),
        ),
        (
            chat,
            r#"{"stream":true,"stream_options":{ "x":1},"model":"m"}"#,
            "m",
            Some(r#"{"stream":true,"stream_options":{"include_usage":true, "x":1},"model":"m"}"#),
        ),
        (
            chat,
            r#"{"stream":true,"stream_options":{"include_usage":false},"model":"m"}"#,
            "m",
            Some(r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#),
        ),
        (chat, r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#, "m", None),
        (
            chat,
            r#"{"stream":true,"stream_options": null,"model":"m"}"#,
            "m",
            Some(r#"{"stream":true,"stream_options": {"include_usage":true},"model":"m"}"#),
        ),
        (chat, r#"{"stream":false,"model":"m"}"#, "m", None),
        (
            Kind::TextCompletion,
            r#"{"stream":true,"model":"m","prompt":""}"#,
            "m",
            Some(r#"{"stream":true,"model":"m","prompt":"","stream_options":{"include_usage":true}}"#),
        ),
        // These tell their usage by themselves.
        (Kind::Responses, r#"{"stream":true,"model":"m"}"#, "m", None),
        (Kind::Messages, r#"{"stream":true,"model":"m"}"#, "m", None),
    ] {
        assert_eq!(rewritten(kind, text, model).as_deref(), expected, "{text}");
    }
    for text in [
        r#"{"stream":true,"stream_options":7,"model":"m"}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false},"model":"m"}"#,
    ] {
        assert!(read(chat, text).rewritten("m").unwrap_err().starts_with("stream_options"), "{text}");
    }
}
