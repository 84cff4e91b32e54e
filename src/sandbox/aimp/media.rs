//! Media: an upload is announced, and completed when its bytes are there. The bytes go to the storage, without the key.

use serde_json::{Map, Value, json};

use super::{
    super::{
        faults::{Effects, Variant},
        storage::{Announced, LARGEST_FILE, NotComplete, Storage, Terms, Way},
    },
    refusal::Refusal,
    request::text,
};

/// The kinds of media.
const MEDIA_TYPES: [&str; 4] = ["image", "audio", "video", "file"];

/// Announces an upload; where it is `expired`, so is its URL.
pub(super) fn begin(
    storage: &mut Storage,
    body: &Map<String, Value>,
    origin: &str,
    expired: bool,
    effects: &Effects,
) -> Result<Value, Refusal> {
    only(body, &["filename", "content_type", "media_type", "size_bytes"])?;
    let announced = announced(body)?;
    let terms = Terms {
        way: if effects.has(Variant::UploadForm) {
            Way::Form
        } else if effects.has(Variant::UploadMethod) || effects.has(Variant::UploadPost) {
            Way::Post
        } else {
            Way::Put
        },
        headers: effects.has(Variant::UploadHeaders),
        expired,
        status: match (effects.has(Variant::UploadCreated), effects.has(Variant::UploadNoContent)) {
            (true, _) => 201,
            (_, true) => 204,
            _ => 200,
        },
    };
    let full = |full| Refusal::new(400, "storage_full", format!("{full}"));
    let offer = storage.announce(announced, terms).map_err(full)?;
    let base = if effects.has(Variant::RelativeUploadUrl) { "" } else { origin };
    let mut answer = json!({"upload_id": offer.upload_id, "upload_url": format!("{base}{}", offer.path)});
    if effects.has(Variant::UploadMethod) {
        answer["method"] = json!("POST");
    }
    let map = |pairs: Vec<(&str, String)>| -> Map<_, _> {
        pairs.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
    };
    if !offer.headers.is_empty() {
        answer["headers"] = map(offer.headers).into();
    }
    if !offer.fields.is_empty() {
        answer["fields"] = map(offer.fields).into();
    }
    Ok(answer)
}

/// Completes an upload; where it is `lost`, its bytes have gone.
pub(super) fn complete(
    storage: &mut Storage,
    body: &Map<String, Value>,
    lost: bool,
    effects: &Effects,
) -> Result<Value, Refusal> {
    only(body, &["upload_id"])?;
    let upload_id = text(body, "upload_id")?;
    if lost {
        storage.lose(upload_id);
    }
    let (reference, announced) = storage.complete(upload_id).map_err(|why| match why {
        NotComplete::Unknown => Refusal::new(404, "upload_not_found", "Upload not found"),
        NotComplete::NotUploaded => {
            Refusal::new(400, "not_uploaded", format!("The file of {upload_id} is not uploaded: send its bytes first"))
        }
    })?;
    if effects.has(Variant::RefInData) {
        return Ok(json!({"data": {"media_ref": reference}}));
    }
    if effects.has(Variant::RefInMedia) {
        return Ok(json!({"media": {"ref": reference}}));
    }
    if effects.has(Variant::RefKey) {
        return Ok(json!({ "ref": reference }));
    }
    Ok(json!({
        "media_ref": reference,
        "upload_id": upload_id,
        "content_type": announced.content_type,
        "media_type": announced.media_type,
        "size_bytes": announced.size_bytes,
    }))
}

fn only(body: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Refusal::field("unknown_field", key, format!("Unknown field {key}"))),
        None => Ok(()),
    }
}

fn announced(body: &Map<String, Value>) -> Result<Announced, Refusal> {
    let wrong = |name: &str, detail: String| Refusal::field("invalid_field", name, detail);
    text(body, "filename")?;
    let content_type = text(body, "content_type")?;
    let word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'))
    };
    if !content_type.split_once('/').is_some_and(|(kind, of)| word(kind) && word(of)) {
        return Err(wrong("content_type", "content_type must be a media type such as image/png".to_owned()));
    }
    let media_type = text(body, "media_type")?;
    if !MEDIA_TYPES.contains(&media_type) {
        return Err(wrong("media_type", format!("media_type must be one of {}", MEDIA_TYPES.join(", "))));
    }
    let size = body.get("size_bytes").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    let size_bytes = size
        .filter(|size| (1..=LARGEST_FILE).contains(size))
        .ok_or_else(|| wrong("size_bytes", format!("size_bytes must be a whole number from 1 to {LARGEST_FILE}")))?;
    Ok(Announced { content_type: content_type.to_owned(), media_type: media_type.to_owned(), size_bytes })
}
