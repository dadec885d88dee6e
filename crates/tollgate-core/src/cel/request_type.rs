//! The kinds of request, which `request_type` is compared with.

/// The kinds of request, as they are named in expressions and in explanations. A kind's number in the API is its place
/// here plus 1.
pub const REQUEST_TYPES: [&str; 12] = [
    "chat_completion",
    "text_completion",
    "responses",
    "embedding",
    "rerank",
    "speech",
    "transcription",
    "image_generation",
    "image_variation",
    "image_edit",
    "video_generation",
    "video_remix",
];

/// Checks that a kind of request exists.
///
/// # Errors
///
/// That it does not, and the nearest one that does.
pub(super) fn check(written: &str) -> Result<(), String> {
    if REQUEST_TYPES.contains(&written) {
        return Ok(());
    }
    let (bare, streams) = match written.strip_suffix("_stream") {
        Some(bare) => (bare, ", which covers its streaming form, and ask `stream` where it matters"),
        None => (written, ""),
    };
    // A known type that contains the written text goes first: `chat` means `chat_completion`.
    let order = |known: &&str| (!known.contains(bare), distance(known, bare));
    let nearest = REQUEST_TYPES.into_iter().min_by_key(order).unwrap_or_default();
    Err(format!("there is no request type {written:?}: write {nearest:?}{streams}"))
}

/// How many characters have to be put in, taken out or changed to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (place, c) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], place + 1);
        for (at, d) in other.chars().enumerate() {
            let changed = corner + usize::from(c != d);
            corner = row[at + 1];
            row[at + 1] = changed.min(corner + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
