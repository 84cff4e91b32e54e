//! Handing a file to AIMP: init, the bytes, complete.
//!
//! ```text
//! init ──▶ upload_url, upload_id ──▶ the bytes, without any credential ──▶ complete ──▶ media_ref
//!   ▲             403: expired, once │                 ▲   "not uploaded", once │
//!   └────────────────────────────────┘                 └────────────────────────┘
//! ```
//!
//! A provider retries nothing; these second tries are part of handing over one file, cost nothing, and each happens once. Only the
//! documented names are in the requests; the answers are read as tolerantly as all others.

use serde_json::{Value, json};

use super::{Told, read::media_type};
use crate::{
    contract::media::takes_media_object,
    job::{Fault, FaultKind},
    provider::{
        LocalFile, MediaRef,
        http::{
            Client, READ_TIMEOUT,
            upload::{Destination, Uploader},
        },
        json::{malformed, present, text},
    },
};

/// What a file is when nobody knows.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Hands a file over.
pub(super) async fn hand_over(
    client: &Client,
    uploader: &Uploader,
    file: &LocalFile,
    told: &mut Told,
) -> Result<MediaRef, Fault> {
    let file = LocalFile { content_type: plain_type(&file.content_type), ..file.clone() };
    let mut slot = init(client, &file, told).await?;
    match uploader.send(&slot.destination, &file).await {
        Err(fault) if fault.status == Some(403) => {
            slot = init(client, &file, told).await?;
            uploader.send(&slot.destination, &file).await?;
        }
        sent => sent?,
    }
    match complete(client, &slot, told).await {
        Err(fault) if says_not_uploaded(&fault) => {
            uploader.send(&slot.destination, &file).await?;
            complete(client, &slot, told).await
        }
        // Whether it was completed cannot be told; to complete twice is safe.
        Err(fault) if fault.may_have_happened() => complete(client, &slot, told).await,
        done => done,
    }
}

/// Returns a content type without its parameters, which say nothing of what kind of file it is; an unknown one where it is none.
fn plain_type(content_type: &str) -> String {
    let plain = content_type.split(';').next().unwrap_or_default().trim();
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))
    };
    let is_type = plain.split_once('/').is_some_and(|(kind, form)| is_word(kind) && is_word(form));
    if is_type { plain } else { UNKNOWN_TYPE }.to_owned()
}

/// An upload that was begun.
#[derive(Debug, PartialEq)]
struct Slot {
    /// Its id, a text or a number, to be given back as it came.
    id: Value,
    destination: Destination,
}

async fn init(client: &Client, file: &LocalFile, told: &mut Told) -> Result<Slot, Fault> {
    let body = json!({
        "filename": file.name,
        "content_type": file.content_type,
        "media_type": media_type(&file.content_type),
        "size_bytes": file.bytes,
    });
    let reply = told.take(client.post(&["media", "upload", "init"], Some(&body), READ_TIMEOUT).await)?;
    slot(&reply.body)
        .ok_or_else(|| malformed("POST /media/upload/init", &reply, "no `upload_url` and `upload_id` in it"))
}

async fn complete(client: &Client, slot: &Slot, told: &mut Told) -> Result<MediaRef, Fault> {
    let body = json!({"upload_id": slot.id});
    let reply = told.take(client.post(&["media", "upload", "complete"], Some(&body), READ_TIMEOUT).await)?;
    reference(&reply.body).ok_or_else(|| malformed("POST /media/upload/complete", &reply, "no `media_ref` in it"))
}

/// Reads where the bytes are to go.
fn slot(value: &Value) -> Option<Slot> {
    let value = Some(value).filter(|value| value.get("upload_url").is_some()).or_else(|| value.get("data"))?;
    let id = present(value, &["upload_id", "uploadId"])?;
    let id = Some(id).filter(|id| id.is_number() || id.as_str().is_some_and(|id| !id.is_empty()))?;
    let destination = Destination {
        url: text(value, &["upload_url", "uploadUrl"])?,
        method: text(value, &["method"]),
        headers: present(value, &["headers"]).map(pairs).unwrap_or_default(),
        fields: present(value, &["fields"]).map(pairs),
    };
    Some(Slot { id: id.clone(), destination })
}

/// Reads names and texts: a map, or a list of objects with name and value.
fn pairs(value: &Value) -> Vec<(String, String)> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Object(map) => map.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect(),
        Value::Array(items) => {
            items.iter().filter_map(|item| Some((text(item, &["name", "key"])?, plain(item.get("value")?)?))).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads the name that a file has from now on.
fn reference(value: &Value) -> Option<MediaRef> {
    let places: [&[&str]; 4] = [&["media_ref"], &["data", "media_ref"], &["media", "ref"], &["ref"]];
    let texts = places.iter().filter_map(|place| place.iter().try_fold(value, |value, key| value.get(key))?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(|text| MediaRef(text.to_owned()))
}

/// Says whether a refusal to complete means that the bytes have not arrived. To send them once more is harmless, so the words are read
/// generously.
fn says_not_uploaded(fault: &Fault) -> bool {
    // A gone upload is not helped by bytes.
    if !matches!(fault.status, Some(400 | 409 | 412 | 422 | 425)) {
        return false;
    }
    let said = fault.message.to_lowercase().replace('_', " ");
    // The request's own path, which the message begins with, has `upload` in it.
    let said = said.replace("/media/upload/complete", "");
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    any(&["upload", "bytes", "object", "file", "content"])
        && any(&["not ", "no ", "n't ", "missing", "incomplete", "before", "pending", "never", "empty"])
}

/// Returns an uploaded file as it stands in an input: bare text or an object, as the schema of its place has it, else as said.
pub(super) fn input(media: &MediaRef, wanted: Option<&Value>, as_object: bool) -> Value {
    if wanted.and_then(takes_media_object).unwrap_or(as_object) {
        json!({"media_ref": media.0})
    } else {
        Value::String(media.0.clone())
    }
}

/// Says whether a run was refused because the API does not know an uploaded file any more: it names one of these, or media
/// references as such.
pub(super) fn names_media_ref(fault: &Fault, media: &[MediaRef]) -> bool {
    let names_one = || media.iter().any(|media| fault.message.contains(&media.0));
    match fault.status {
        _ if media.is_empty() || fault.may_have_happened() => false,
        Some(400 | 422) => {
            let said = fault.message.to_lowercase().replace(['_', '-'], " ");
            names_one() || said.contains("media ref") || said.contains("mediaref")
        }
        Some(404 | 410) if fault.kind == FaultKind::NotFound => names_one(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: `media_ref` place.
    #[test]
    fn places_of_the_reference() {
        for (body, found) in [
            (json!({"media_ref": "a", "data": {"media_ref": "b"}, "ref": "d"}), Some("a")),
            (json!({"media_ref": null, "data": {"media_ref": "b"}, "media": {"ref": "c"}}), Some("b")),
            (json!({"media": {"ref": "c"}, "ref": "d"}), Some("c")),
            (json!({"ref": " d "}), Some("d")),
            (json!({"media_ref": ""}), None),
            (json!({"media_ref": 7}), None),
            (json!(null), None),
        ] {
            assert_eq!(reference(&body).map(|media| media.0).as_deref(), found, "{body}");
        }
    }

    #[test]
    fn content_types_are_sent_without_parameters() {
        for (given, sent) in [
            ("image/png", "image/png"),
            (" text/plain; charset=utf-8", "text/plain"),
            ("image/svg+xml", "image/svg+xml"),
            ("", UNKNOWN_TYPE),
            ("png", UNKNOWN_TYPE),
            ("a/b\r\nx-api-key: y", UNKNOWN_TYPE),
        ] {
            assert_eq!(plain_type(given), sent, "{given}");
        }
    }

    /// Rows: method, headers, form upload.
    #[test]
    fn what_init_says() {
        let least = slot(&json!({"upload_id": "studio_upload_1", "upload_url": "/u/1"})).expect("a slot");
        assert_eq!(least.id, json!("studio_upload_1"));
        assert_eq!(least.destination, Destination { url: "/u/1".to_owned(), ..Destination::default() });
        let whole = slot(&json!({"data": {
            "upload_id": 7, "upload_url": "https://s/1", "method": "POST",
            "headers": {"x-a": "b", "x-n": 1, "x-odd": []}, "fields": [{"name": "key", "value": "k"}, {"value": "lost"}],
        }}))
        .expect("a slot");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!((whole.id, whole.destination.method.as_deref()), (json!(7), Some("POST")));
        assert_eq!(whole.destination.headers, [pair("x-a", "b"), pair("x-n", "1")]);
        assert_eq!(whole.destination.fields, Some(vec![pair("key", "k")]));
        for none in [
            json!({}),
            json!({"upload_url": "/u"}),
            json!({"upload_id": "a"}),
            json!({"upload_id": "", "upload_url": "/u"}),
        ] {
            assert_eq!(slot(&none), None, "{none}");
        }
    }

    fn refused(status: u16, message: &str) -> Fault {
        let kind = if status == 404 { FaultKind::NotFound } else { FaultKind::Rejected };
        let message = format!("`POST /api/media/upload/complete` answered {status} Refused: {message}");
        Fault { status: Some(status), ..Fault::new(kind, message) }
    }

    #[test]
    fn not_uploaded_is_told_by_its_words() {
        for (status, said, means) in [
            (400, "the bytes were not uploaded", true),
            (409, "upload_not_complete: upload incomplete", true),
            (422, "Upload the file before completing", true),
            (400, "object missing in storage", true),
            (400, "invalid upload_id", false),
            (400, "not json", false),
            (404, "upload not found", false),
            (500, "not uploaded", false),
        ] {
            assert_eq!(says_not_uploaded(&refused(status, said)), means, "{status} {said}");
        }
    }

    /// Row: life of a `media_ref`: a 400 that names the reference.
    #[test]
    fn a_refusal_that_names_the_reference() {
        let media = [MediaRef("media_0c9d2f".to_owned())];
        for (status, said, means) in [
            (400, "input.image: media_0c9d2f has expired", true),
            (400, "unknown media_ref", true),
            (422, "Media reference not found", true),
            (404, "media_0c9d2f not found", true),
            (404, "unknown media_ref", false),
            (400, "Invalid scope", false),
            (401, "media_ref", false),
            (502, "media_ref", false),
        ] {
            assert_eq!(names_media_ref(&refused(status, said), &media), means, "{status} {said}");
        }
        assert!(!names_media_ref(&refused(400, "unknown media_ref"), &[]), "nothing was uploaded, so nothing helps");
    }

    /// Row: `media_ref`: bare string in place, or an object.
    #[test]
    fn the_form_in_an_input() {
        let media = MediaRef("m".to_owned());
        let (bare, object) = (json!("m"), json!({"media_ref": "m"}));
        for (schema, as_object, form) in [
            (None, false, &bare),
            (None, true, &object),
            (Some(json!({"type": "string"})), true, &bare),
            (Some(json!({"type": "object"})), false, &object),
            (Some(json!({"properties": {"media_ref": {"type": "string"}}})), false, &object),
            (Some(json!({"type": ["string", "null"]})), true, &bare),
            (Some(json!({"anyOf": [{"type": "null"}, {"type": "object"}]})), false, &object),
            (Some(json!({"oneOf": [{"type": "string"}, {"type": "object"}]})), true, &object),
            (Some(json!({"oneOf": [{"type": "string"}, {"type": "object"}]})), false, &bare),
            (Some(json!(true)), false, &bare),
        ] {
            assert_eq!(&input(&media, schema.as_ref(), as_object), form, "{schema:?}, {as_object}");
        }
    }
}
