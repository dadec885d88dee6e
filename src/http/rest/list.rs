//! Lists. The methods answer pages by token; here a list is answered whole, one page after the other as it is read, or from
//! an offset.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use tonic::Status;
use tonic::body::Body;

use super::query::{MAX_LIMIT, Range};
use super::{Asked, FULL, put, write};
use crate::http::inner::Refusal;

/// A list that is being answered.
struct Pages {
    asked: Arc<Asked>,
    token: String,
    range: Range,
    /// Rows that are still to be left out.
    skip: usize,
    count: usize,
    total: i64,
    is_last: bool,
}

pub(super) async fn list(asked: Arc<Asked>) -> Response<Body> {
    let mut pages = Pages {
        asked: Arc::clone(&asked),
        token: String::new(),
        range: Range::default(),
        skip: 0,
        count: 0,
        total: 0,
        is_last: false,
    };
    let (first, metadata) = match pages.next().await {
        Ok(first) => first,
        Err(refusal) => return asked.refused(*refusal, None),
    };
    let first = Bytes::from(format!("{{\"{}\":[{first}", asked.operation.resource.many));
    let body = if pages.is_last {
        Body::new(Full::from([first, pages.end()].concat()))
    } else {
        let rest = stream::try_unfold(Some(pages), |pages| async move {
            let Some(mut pages) = pages else { return Ok(None) };
            let mut chunk = pages.next().await.map_err(|refusal| refusal.status)?.0;
            let is_last = pages.is_last;
            if is_last {
                chunk.push_str(&String::from_utf8_lossy(&pages.end()));
            }
            Ok::<_, Status>(Some((Frame::data(Bytes::from(chunk)), (!is_last).then_some(pages))))
        });
        let first = stream::once(std::future::ready(Ok(Frame::data(first))));
        // Half of a list would be taken for all of it: a fault on the way ends the connection.
        Body::new(StreamBody::new(Pin::from(Box::new(futures_util::StreamExt::chain(first, rest)))))
    };
    let mut response = Response::new(body);
    *response.headers_mut() = metadata;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Pages {
    /// The next page as JSON: rows, each after a comma but the first of all.
    async fn next(&mut self) -> Result<(String, HeaderMap), Box<Refusal>> {
        let method = self.asked.method()?;
        let (asked, token) = (Arc::clone(&self.asked), self.token.clone());
        if token.is_empty() {
            // Faults in the parameters are told by the call, once it is known who asks.
            self.range = self.asked.parameters(&mut DynamicMessage::new(method.input())).unwrap_or_default();
            self.skip = self.range.offset;
        }
        let size = self.left().map_or(MAX_LIMIT, |left| left.saturating_add(self.skip).clamp(1, MAX_LIMIT));
        let message = move |_| async move {
            let mut request = DynamicMessage::new(method.input());
            asked.parameters(&mut request)?;
            put(&mut request, "page_size", Value::I32(i32::try_from(size).unwrap_or_default()));
            put(&mut request, "page_token", Value::String(token));
            put(&mut request, "view", FULL);
            Ok(request)
        };
        let (page, metadata) = self.asked.call(message).await?;
        Ok((self.rows(&page), metadata))
    }

    /// The number of rows that are still to be answered, if they are counted.
    fn left(&self) -> Option<usize> {
        self.range.limit.map(|limit| limit.saturating_sub(self.count))
    }

    fn rows(&mut self, page: &DynamicMessage) -> String {
        let rows =
            page.descriptor().fields().find(|field| field.is_list()).map(|field| page.get_field(&field).into_owned());
        let rows = rows.as_ref().and_then(Value::as_list).unwrap_or_default();
        let mut text = String::new();
        for row in rows.iter().filter_map(Value::as_message) {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            if self.left() == Some(0) {
                break;
            }
            if self.count > 0 {
                text.push(',');
            }
            text.push_str(&write::object_of(row).to_string());
            self.count += 1;
        }
        let total = page.get_field_by_name("total_size").and_then(|it| it.as_i32()).unwrap_or_default();
        self.total = i64::from(total);
        let token = page.get_field_by_name("next_page_token").and_then(|it| it.as_str().map(ToOwned::to_owned));
        self.token = token.unwrap_or_default();
        self.is_last = self.token.is_empty() || self.left() == Some(0);
        text
    }

    /// The text behind the rows.
    fn end(&self) -> Bytes {
        let Self { count, total, range: Range { limit, offset }, .. } = self;
        let limit = limit.unwrap_or(*count);
        Bytes::from(format!("],\"count\":{count},\"total_count\":{total},\"limit\":{limit},\"offset\":{offset}}}"))
    }
}
