//! Uploads: a place is announced, the bytes are delivered to it, the upload is completed and has a reference.
//!
//! ```text
//! announce ─▶ upload_url ─▶ deliver (no credentials!) ─▶ complete ─▶ media_ref
//! ```
//!
//! The storage wants what stores of objects want: the signature of the URL, the declared type, exactly the declared bytes with their
//! length told before; it says what is wrong in the words of such a store.

use std::collections::BTreeMap;

use super::{
    super::{
        api::FILES,
        emulator::{Body, Call},
    },
    Refusal, Room, Stored, UPLOADS, form,
};
use crate::id::Digest;

/// What a client says of a file before it sends it.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Announced {
    pub(in super::super) content_type: String,
    pub(in super::super) media_type: String,
    pub(in super::super) size_bytes: usize,
}

/// How the storage wants the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Terms {
    /// By which request.
    pub(in super::super) way: Way,
    /// With headers of its own.
    pub(in super::super) headers: bool,
    /// The URL has expired already.
    pub(in super::super) expired: bool,
    /// The status when all is well.
    pub(in super::super) status: u16,
}

/// By which request the bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Way {
    /// A PUT.
    Put,
    /// A POST.
    Post,
    /// A POST with a form.
    Form,
}

/// A place for an upload.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Offer {
    pub(in super::super) upload_id: String,
    /// Path and query of the place.
    pub(in super::super) path: String,
    /// What the request must carry beside its content.
    pub(in super::super) headers: Vec<(&'static str, String)>,
    /// What the form must begin with.
    pub(in super::super) fields: Vec<(&'static str, String)>,
}

/// Says why an upload is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum NotComplete {
    /// There is no such upload.
    Unknown,
    /// Its bytes are not here.
    NotUploaded,
}

#[derive(Debug)]
pub(super) struct Uploads {
    seed: u64,
    count: usize,
    /// By the key in the URL.
    all: BTreeMap<String, Upload>,
    /// References to keys.
    references: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Upload {
    id: String,
    signature: String,
    reference: String,
    announced: Announced,
    terms: Terms,
    stored: Option<Stored>,
}

/// The most uploads that are known at once; whoever announces more than this without sending a byte loses the oldest of them.
const MOST_UPLOADS: usize = 20_000;

impl Uploads {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0, all: BTreeMap::new(), references: BTreeMap::new() }
    }

    pub(super) fn announce(&mut self, announced: Announced, terms: Terms) -> Offer {
        if self.all.len() >= MOST_UPLOADS {
            // Keys begin with their number, so the first one without bytes is the oldest.
            let idle = self.all.iter().find(|(_, upload)| upload.stored.is_none()).map(|(key, _)| key.clone());
            self.all.remove(&idle.expect("files are far fewer than uploads"));
        }
        let number = self.count;
        self.count += 1;
        let word =
            |what: &str| Digest::of(format!("{what} {} {number}", self.seed).as_bytes()).to_string()[..16].to_owned();
        let upload = Upload {
            id: format!("studio_upload_{}", word("upload")),
            signature: word("signature"),
            reference: format!("media_{}", word("media")),
            announced,
            terms,
            stored: None,
        };
        let key = format!("{number:08x}{}", &word("key")[..8]);
        let offer = Offer {
            upload_id: upload.id.clone(),
            path: format!("{FILES}{UPLOADS}/{key}?sig={}", upload.signature),
            headers: upload.headers(),
            fields: upload.fields(&key),
        };
        self.all.insert(key, upload);
        offer
    }

    /// Takes the bytes of an upload, and returns the status of the answer.
    pub(super) fn deliver(&mut self, call: &Call, room: &mut Room) -> Result<u16, Refusal> {
        let mut parts = call.path.split('/').skip(3);
        let (Some(key), None) = (parts.next(), parts.next()) else {
            return Err(Refusal::new(404, "NoSuchKey", "There is no such place"));
        };
        let upload = self.all.get_mut(key).ok_or(Refusal::new(404, "NoSuchKey", "There is no such place"))?;
        let signed = format!("sig={}", upload.signature);
        if call.query.as_deref() != Some(&signed) {
            return Err(Refusal::new(403, "SignatureDoesNotMatch", "The signature does not match"));
        }
        if upload.terms.expired {
            return Err(Refusal::new(403, "AccessDenied", "Request has expired"));
        }
        let wanted = if upload.terms.way == Way::Put { "PUT" } else { "POST" };
        if call.method != wanted {
            let refusal = Refusal::new(405, "MethodNotAllowed", "The method is not allowed against this place");
            return Err(Refusal { allow: Some(wanted), ..refusal });
        }
        if call.header("transfer-encoding").is_some() || call.header("content-length").is_none() {
            return Err(Refusal::new(411, "MissingContentLength", "You must provide the Content-Length header"));
        }
        if matches!(call.body, Body::TooLarge) {
            return Err(Refusal::new(400, "EntityTooLarge", "The file is larger than allowed"));
        }
        let bytes = if upload.terms.way == Way::Form { upload.form(call, key)? } else { upload.plain(call)? };
        if bytes.len() != upload.announced.size_bytes {
            let told = if bytes.len() < upload.announced.size_bytes { "EntityTooSmall" } else { "EntityTooLarge" };
            return Err(Refusal::new(400, told, "The file has another size than was declared"));
        }
        room.take(bytes.len(), upload.stored.as_ref().map(|stored| stored.bytes.len()))
            .map_err(|_| Refusal::new(507, "InsufficientStorage", "The storage is full"))?;
        let content_type = upload.announced.content_type.clone();
        upload.stored = Some(Stored { content_type, bytes: bytes.to_vec() });
        Ok(upload.terms.status)
    }

    pub(super) fn complete(&mut self, upload_id: &str) -> Result<(&str, &Announced), NotComplete> {
        let found = self.all.iter().find(|(_, upload)| upload.id == upload_id);
        let (key, upload) = found.ok_or(NotComplete::Unknown)?;
        if upload.stored.is_none() {
            return Err(NotComplete::NotUploaded);
        }
        self.references.insert(upload.reference.clone(), key.clone());
        Ok((&upload.reference, &upload.announced))
    }

    pub(super) fn lose(&mut self, upload_id: &str, room: &mut Room) {
        let upload = self.all.values_mut().find(|upload| upload.id == upload_id);
        if let Some(stored) = upload.and_then(|upload| upload.stored.take()) {
            room.give_back(stored.bytes.len());
        }
    }

    pub(super) fn media(&self, reference: &str) -> Option<&Stored> {
        self.all.get(self.references.get(reference)?)?.stored.as_ref()
    }

    pub(super) fn forget(&mut self, reference: &str, room: &mut Room) {
        let upload = self.references.remove(reference).and_then(|key| self.all.remove(&key));
        if let Some(stored) = upload.and_then(|upload| upload.stored) {
            room.give_back(stored.bytes.len());
        }
    }
}

impl Upload {
    fn headers(&self) -> Vec<(&'static str, String)> {
        if !self.terms.headers {
            return Vec::new();
        }
        vec![("Content-Type", self.announced.content_type.clone()), ("X-Upload-Token", self.signature.clone())]
    }

    fn fields(&self, key: &str) -> Vec<(&'static str, String)> {
        if self.terms.way != Way::Form {
            return Vec::new();
        }
        vec![
            ("key", key.to_owned()),
            ("Content-Type", self.announced.content_type.clone()),
            ("policy", format!("size={}", self.announced.size_bytes)),
            ("signature", self.signature.clone()),
        ]
    }

    fn plain<'a>(&self, call: &'a Call) -> Result<&'a [u8], Refusal> {
        if call.header("content-type") != Some(&self.announced.content_type) {
            return Err(Refusal::new(400, "InvalidArgument", "The Content-Type is another than was declared"));
        }
        let missing =
            self.headers().into_iter().find(|(name, value)| call.header(&name.to_ascii_lowercase()) != Some(value));
        match missing {
            Some((name, _)) => {
                Err(Refusal::new(400, "InvalidArgument", format!("The header {name} is not as was asked for")))
            }
            None => Ok(&call.bytes),
        }
    }

    fn form<'a>(&self, call: &'a Call, key: &str) -> Result<&'a [u8], Refusal> {
        let form = form::read(call.header("content-type").unwrap_or_default(), &call.bytes)
            .map_err(|told| Refusal::new(400, "MalformedPOSTRequest", told))?;
        let sent = |(name, value): &(&str, String)| form.fields.iter().any(|(n, v)| n == name && v == value);
        match self.fields(key).iter().find(|field| !sent(field)) {
            Some((name, _)) => {
                Err(Refusal::new(400, "InvalidArgument", format!("The field {name} is not as was asked for")))
            }
            None => Ok(form.file),
        }
    }
}
