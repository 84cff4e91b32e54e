//! An imitation of an object store that holds what it is sent, in the dialects of all three: puts with and without a condition, uploads in
//! parts, copies; and does something wrong where a test says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use percent_encoding::percent_decode_str;

use crate::wire::{Act, Request, Wire, answer};

/// An object: its media type and its bytes.
pub(crate) type Object = (String, Vec<u8>);

/// What the store does instead of what it was asked; none where it does that.
type Fault = Box<dyn FnMut(&Request) -> Option<Act> + Send>;

/// An upload: its object's name and media type, and its parts.
type Upload = (String, String, BTreeMap<String, Vec<u8>>);

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Object>,
    /// Uploads that are not completed.
    uploads: BTreeMap<String, Upload>,
    begun: usize,
    fault: Option<Fault>,
    /// Whether conditions on a put are ignored, as by stores that do not know them.
    heedless: bool,
}

/// A running imitation.
pub(crate) struct Bucket {
    wire: Wire,
    held: Arc<Mutex<Held>>,
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let held = Arc::<Mutex<Held>>::default();
        let own = Arc::clone(&held);
        let wire = Wire::start(move |request| own.lock().expect("the bucket").act(request)).await;
        Self { wire, held }
    }

    pub(crate) fn url(&self) -> String {
        self.wire.url("")
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("the bucket")
    }

    /// Does something wrong from now on, where this says so.
    pub(crate) fn fault(&self, fault: impl FnMut(&Request) -> Option<Act> + Send + 'static) {
        self.held().fault = Some(Box::new(fault));
    }

    /// Does all it is asked from now on.
    pub(crate) fn well(&self) {
        self.held().fault = None;
    }

    /// Ignores conditions on puts.
    pub(crate) fn heedless(&self) {
        self.held().heedless = true;
    }

    /// Puts an object there, as somebody else would.
    pub(crate) fn hold(&self, name: &str, content_type: &str, bytes: impl Into<Vec<u8>>) {
        self.held().objects.insert(name.to_owned(), (content_type.to_owned(), bytes.into()));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.held().objects.remove(name).expect("an object");
    }

    /// Returns all objects, by `/BUCKET/NAME`.
    pub(crate) fn objects(&self) -> BTreeMap<String, Object> {
        self.held().objects.clone()
    }

    /// Returns the bytes of the object whose name ends so.
    pub(crate) fn bytes(&self, end: &str) -> Vec<u8> {
        let objects = self.objects();
        let found: Vec<_> = objects.iter().filter(|(name, _)| name.ends_with(end)).collect();
        assert_eq!(found.len(), 1, "{end}: {:?}", objects.keys());
        found[0].1.1.clone()
    }

    /// Returns how many uploads are neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.held().uploads.len()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.wire.requests()
    }

    /// Returns the requests so far whose line holds this.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.wire.lines().iter().filter(|line| line.contains(part)).count()
    }
}

/// Returns a refusal as stores have it.
pub(crate) fn refusal(status: &str, code: &str) -> Act {
    Act::Send(answer(status, &[], format!("<Error><Code>{code}</Code><Message>as told</Message></Error>")))
}

impl Held {
    fn act(&mut self, request: &Request) -> Act {
        if let Some(act) = self.fault.as_mut().and_then(|fault| fault(request)) {
            return act;
        }
        let (method, target) = request.line().split_once(' ').expect("a request line");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let name = percent_decode_str(path).decode_utf8().expect("UTF-8").into_owned();
        let value =
            |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")).map(ToOwned::to_owned));
        let stamps = [("etag", "\"e\""), ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT")];
        let content_type = request.header("x-ms-blob-content-type").or(request.header("content-type"));
        let content_type = content_type.unwrap_or_default().to_owned();
        let is_new =
            request.header("if-none-match") == Some("*") || request.header("x-goog-if-generation-match") == Some("0");
        let taken = is_new && !self.heedless && self.objects.contains_key(&name);
        let source = ["x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source"];
        let source = source.into_iter().find_map(|header| request.header(header));
        match (method, value("uploadId"), source) {
            ("HEAD", ..) => match self.objects.get(&name) {
                None => Act::Send(answer("404 Not Found", &[], "")),
                Some((_, bytes)) => {
                    let whole = answer("200 OK", &stamps, bytes);
                    Act::Send(whole[..whole.len() - bytes.len()].to_vec())
                }
            },
            ("GET", ..) => match self.objects.get(&name) {
                None => refusal("404 Not Found", "NoSuchKey"),
                Some((content_type, bytes)) => {
                    Act::Send(answer("200 OK", &[stamps[0], stamps[1], ("content-type", content_type)], bytes))
                }
            },
            ("POST", None, _) => {
                self.begun += 1;
                let id = format!("u{}", self.begun);
                self.uploads.insert(id.clone(), (name, content_type, BTreeMap::new()));
                let xml =
                    format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
                Act::Send(answer("200 OK", &[], xml))
            }
            ("POST", Some(_), _) if taken => refusal("412 Precondition Failed", "PreconditionFailed"),
            ("POST", Some(id), _) => {
                let Some((name, content_type, parts)) = self.uploads.remove(&id) else {
                    return refusal("404 Not Found", "NoSuchUpload");
                };
                self.objects.insert(name, (content_type, parts.into_values().flatten().collect()));
                let xml = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
                Act::Send(answer("200 OK", &stamps, xml))
            }
            ("DELETE", Some(id), _) => {
                self.uploads.remove(&id);
                Act::Send(answer("204 No Content", &[], ""))
            }
            ("DELETE", None, _) => {
                self.objects.remove(&name);
                Act::Send(answer("204 No Content", &[], ""))
            }
            ("PUT", Some(id), _) => {
                let number = value("partNumber").expect("a number");
                let parts = &mut self.uploads.get_mut(&id).expect("an upload").2;
                parts.insert(format!("{number:0>8}"), request.bytes.clone());
                Act::Send(answer("200 OK", &stamps, ""))
            }
            // Azure's parts, which its list of blocks makes an object of.
            ("PUT", ..) if value("comp").as_deref() == Some("block") => {
                let block = value("blockid").expect("a block");
                let block = percent_decode_str(&block).decode_utf8().expect("UTF-8").into_owned();
                let upload = self.uploads.entry(name.clone()).or_insert_with(|| (name, content_type, BTreeMap::new()));
                upload.2.insert(block, request.bytes.clone());
                Act::Send(answer("201 Created", &stamps, ""))
            }
            ("PUT", ..) if value("comp").as_deref() == Some("blocklist") => {
                let (_, _, mut parts) = self.uploads.remove(&name).expect("blocks");
                let listed =
                    request.body.split("<Uncommitted>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default());
                let bytes = listed.flat_map(|block| parts.remove(block).expect("a block that was put")).collect();
                self.objects.insert(name, (content_type, bytes));
                Act::Send(answer("201 Created", &stamps, ""))
            }
            ("PUT", ..) if taken => refusal("412 Precondition Failed", "PreconditionFailed"),
            ("PUT", None, Some(source)) => {
                // Azure's source is a URL.
                let host = format!("http://{}", request.header("host").unwrap_or_default());
                let source = source.strip_prefix(&host).unwrap_or(source).trim_start_matches('/');
                let source = format!("/{}", percent_decode_str(source).decode_utf8().expect("UTF-8"));
                let Some(object) = self.objects.get(&source).cloned() else {
                    return refusal("404 Not Found", "NoSuchKey");
                };
                self.objects.insert(name, object);
                let xml = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
                Act::Send(answer("201 Created", &[stamps[0], stamps[1], ("x-ms-copy-status", "success")], xml))
            }
            ("PUT", ..) => {
                self.objects.insert(name, (content_type, request.bytes.clone()));
                Act::Send(answer("200 OK", &stamps, ""))
            }
            _ => Act::Send(answer("405 Method Not Allowed", &[], "")),
        }
    }
}
