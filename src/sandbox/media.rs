//! The outputs: what a job gives, as text or as a small file that shows what was asked for.
//!
//! The same target with the same inputs gives the same bytes, in any job: whoever compares two runs compares what they mean.
//! Pictures and recordings are real ones; a clip has the boxes of an MP4 and no frames, a 3d model is a triangle.

mod picture;
mod sound;

use serde_json::Value;

use super::{
    api::FILES,
    catalog::{Node, Product},
    jobs::Job,
};
use crate::{contract::ValueKind, id::Digest, job::JobState};

/// The most characters of an input that an output shows.
const SHOWN: usize = 400;

/// Returns an output file's media type and bytes, where a job gives one of this name.
#[must_use]
pub fn file(job: &Job, node: &str, name: &str) -> Option<(&'static str, Vec<u8>)> {
    if job.state != JobState::Completed || job.fate.silent {
        return None;
    }
    let node = job.product.nodes.iter().find(|found| found.id == node)?;
    let number = (0..count(job, node)).find(|&number| file_name(node, number) == name)?;
    let digest = digest(job, node, number);
    Some(match node.gives {
        ValueKind::Video => ("video/mp4", clip(&shown(job), digest)),
        ValueKind::Audio => ("audio/wav", sound::tone(digest)),
        ValueKind::Model3d => ("model/gltf-binary", solid(&shown(job), digest)),
        ValueKind::Image => {
            let title = if job.product.nodes.len() > 1 {
                format!("{} - {}", job.product.contract.name, node.name)
            } else {
                job.product.contract.name.clone()
            };
            ("image/png", picture::draw(&title, &shown(job), ratio(job), digest))
        }
        _ => return None,
    })
}

/// Returns the picture that stands for a product in lists.
#[must_use]
pub fn thumbnail(product: &Product) -> Vec<u8> {
    let description = product.contract.description.clone().unwrap_or_default();
    let digest = Digest::of(product.contract.target.id.as_bytes());
    picture::draw(&product.contract.name, &[(String::new(), description)], (16, 9), digest)
}

/// Returns how many files a node gives.
#[must_use]
pub fn count(job: &Job, node: &Node) -> u64 {
    let asked = job.inputs.get("num_images").and_then(Value::as_u64).unwrap_or(1);
    if node.gives == ValueKind::Image { asked.clamp(1, 16) } else { 1 }
}

/// Returns the URL of a file that a node gives.
pub(super) fn url(origin: &str, job: &Job, node: &Node, number: u64) -> String {
    format!("{origin}{FILES}{}/{}/{}", job.id, node.id, file_name(node, number))
}

/// Returns the name of a file that a node gives.
#[must_use]
pub fn file_name(node: &Node, number: u64) -> String {
    let extension = match node.gives {
        ValueKind::Video => "mp4",
        ValueKind::Audio => "wav",
        ValueKind::Model3d => "glb",
        _ => "png",
    };
    format!("{number}.{extension}")
}

/// Returns the text that a node gives.
#[must_use]
pub fn text(job: &Job, node: &Node) -> String {
    let parts: Vec<_> = shown(job).into_iter().map(|(label, value)| format!("{label}: {value}")).collect();
    format!("{} ({}) for {}", node.name, job.product.contract.name, parts.join("; "))
}

fn digest(job: &Job, node: &Node, number: u64) -> Digest {
    // Sorted, since the order in which inputs were sent is no part of what they mean.
    let inputs: std::collections::BTreeMap<_, _> = job.inputs.iter().collect();
    let inputs = serde_json::to_string(&inputs).expect("JSON can be written");
    Digest::of(format!("{} {} {number} {inputs}", job.target(), node.id).as_bytes())
}

/// Returns the inputs as people read them: labels, and of URLs the file's name.
fn shown(job: &Job) -> Vec<(String, String)> {
    let label = |key: &String| {
        let port = job.product.contract.ports.iter().find(|port| port.id == *key);
        port.and_then(|port| port.label.clone()).unwrap_or_else(|| key.clone())
    };
    job.inputs.iter().map(|(key, value)| (label(key), brief(value))).collect()
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::String(text) if super::check::is_url(text) => {
            let path = text.split(['?', '#']).next().unwrap_or(text);
            path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path).to_owned()
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Returns the ratio of a picture: the one asked for, else that of a screen.
fn ratio(job: &Job) -> (u32, u32) {
    let inputs = job.inputs.iter().find(|(key, _)| {
        let ports = &job.product.contract.ports;
        let handle = ports.iter().find(|port| port.id == **key).and_then(|port| port.handle.as_deref());
        *key == "aspect_ratio" || handle == Some("aspect_ratio")
    });
    inputs
        .and_then(|(_, value)| value.as_str()?.split_once(':'))
        .and_then(|(width, height)| Some((width.trim().parse().ok()?, height.trim().parse().ok()?)))
        .filter(|&(width, height): &(u32, u32)| (1..=100).contains(&width) && (1..=100).contains(&height))
        .unwrap_or((16, 9))
}

fn chunk(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).expect("a small file");
    [&length.to_be_bytes(), &name, content].concat()
}

/// Builds what looks like an MP4: `ftyp`, a `moov` with a movie header of two seconds, `mdat` with the inputs as text.
fn clip(shown: &[(String, String)], digest: Digest) -> Vec<u8> {
    let mut header = vec![0; 100];
    // Version and flags, two times, then a scale of 1000 and a duration of 2000; rate 1.0, volume 1.0.
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    header[16..20].copy_from_slice(&2000_u32.to_be_bytes());
    header[20..24].copy_from_slice(&0x0001_0000_u32.to_be_bytes());
    header[24..26].copy_from_slice(&0x0100_u16.to_be_bytes());
    // The unit matrix, then the number of the next track.
    header[36..40].copy_from_slice(&0x0001_0000_u32.to_be_bytes());
    header[52..56].copy_from_slice(&0x0001_0000_u32.to_be_bytes());
    header[68..72].copy_from_slice(&0x4000_0000_u32.to_be_bytes());
    header[96..100].copy_from_slice(&1_u32.to_be_bytes());
    let lines: Vec<_> = shown.iter().map(|(label, value)| format!("{label}: {value}")).collect();
    [
        chunk(*b"ftyp", b"isom\0\0\x02\0isomiso2mp41"),
        chunk(*b"moov", &chunk(*b"mvhd", &header)),
        chunk(*b"mdat", format!("{digest}\n{}\n", lines.join("\n")).as_bytes()),
    ]
    .concat()
}

/// Builds a binary glTF with one triangle, and the inputs as extras.
fn solid(shown: &[(String, String)], digest: Digest) -> Vec<u8> {
    let corners: [f32; 9] = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let binary: Vec<u8> = corners.iter().flat_map(|corner| corner.to_le_bytes()).collect();
    let inputs: serde_json::Map<_, _> =
        shown.iter().map(|(label, value)| (label.clone(), Value::String(value.clone()))).collect();
    let mut scene = serde_json::json!({
        "asset": {"version": "2.0", "generator": "dagwood sandbox"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{
            "bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0],
        }],
        "bufferViews": [{"buffer": 0, "byteLength": binary.len()}],
        "buffers": [{"byteLength": binary.len()}],
        "extras": {"inputs": inputs, "digest": digest},
    })
    .to_string()
    .into_bytes();
    scene.resize(scene.len().next_multiple_of(4), b' ');
    let length = |bytes: usize| u32::try_from(bytes).expect("a small file").to_le_bytes();
    let total = 12 + 8 + scene.len() + 8 + binary.len();
    [
        b"glTF".as_slice(),
        &2_u32.to_le_bytes(),
        &length(total),
        &length(scene.len()),
        b"JSON",
        &scene,
        &length(binary.len()),
        b"BIN\0",
        &binary,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::{Map, json};

    use super::*;
    use crate::{
        job::TargetKind,
        sandbox::{
            Api,
            catalog::Catalog,
            jobs::{Fate, Jobs, Order},
        },
    };

    fn completed(kind: TargetKind, id: &str, inputs: Value) -> Job {
        let product = Catalog::new(&[]).get(kind, id).expect("a product").clone();
        let Value::Object(inputs) = inputs else { panic!("inputs are an object") };
        let mut jobs = Jobs::new(BTreeMap::new(), 1);
        let order = Order {
            api: Api::Armox,
            prefix: "",
            product,
            inputs,
            beside: Map::new(),
            takes: Duration::ZERO,
            fate: Fate::default(),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let id = jobs.submit(order, now).expect("credits").id.clone();
        jobs.look(Api::Armox, &id, now).expect("the job").clone()
    }

    fn only(job: &Job) -> (&'static str, Vec<u8>) {
        let node = &job.product.nodes[0];
        file(job, &node.id, &file_name(node, 0)).expect("a file")
    }

    #[test]
    fn a_picture_is_a_picture_and_depends_on_the_inputs_alone() {
        let banana = |prompt: &str, ratio: &str| {
            completed(TargetKind::Model, "google/nano-banana", json!({"prompt": prompt, "aspect_ratio": ratio}))
        };
        let (kind, bytes) = only(&banana("A night street", "1:1"));
        let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().expect("a PNG");
        assert_eq!((kind, reader.info().size()), ("image/png", (480, 480)));
        assert_eq!(bytes, only(&banana("A night street", "1:1")).1);
        assert_ne!(bytes, only(&banana("A day street", "1:1")).1);
        assert!(bytes.len() < 60_000, "{} bytes", bytes.len());
    }

    #[test]
    fn the_other_media_have_their_marks() {
        let prompt = json!({"prompt": "Waves"});
        let (kind, wav) = only(&completed(TargetKind::Model, "suno/music", prompt.clone()));
        assert_eq!((kind, &wav[..4], &wav[8..12]), ("audio/wav", b"RIFF".as_slice(), b"WAVE".as_slice()));
        assert_eq!(u32::from_le_bytes(wav[4..8].try_into().expect("four bytes")) as usize, wav.len() - 8);
        let (kind, mp4) = only(&completed(TargetKind::Model, "kling/video", prompt.clone()));
        assert_eq!((kind, &mp4[4..8]), ("video/mp4", b"ftyp".as_slice()));
        let (kind, glb) = only(&completed(TargetKind::Model, "tencent/hunyuan-3d", prompt.clone()));
        assert_eq!((kind, &glb[..4]), ("model/gltf-binary", b"glTF".as_slice()));
        assert_eq!(u32::from_le_bytes(glb[8..12].try_into().expect("four bytes")) as usize, glb.len());
        let job = completed(TargetKind::Model, "openai/gpt-5-mini", prompt);
        assert_eq!(text(&job, &job.product.nodes[0]), "GPT-5 mini (GPT-5 mini) for Prompt: Waves");
    }

    #[test]
    fn of_a_url_the_name_is_shown() {
        assert_eq!(brief(&json!(["https://a.b/c/d.png?e=f", "https://a.b/"])), "d.png, a.b");
        assert_eq!(
            shown(&completed(
                TargetKind::Model,
                "openai/gpt-5-mini",
                Value::Object(Map::from_iter([("prompt".to_owned(), json!("x")),]))
            )),
            [("Prompt".to_owned(), "x".to_owned())]
        );
    }
}
