//! A recording: half a second of one tone, whose pitch follows a digest. All in whole numbers, so that it is the same everywhere.

use crate::id::Digest;

/// Samples per second.
const RATE: u32 = 16_000;
const SAMPLES: u32 = RATE / 2;
const LOUDNESS: i32 = 9_000;

/// Builds a WAV file: 16 bit, one channel, a triangle wave that fades out.
pub(super) fn tone(digest: Digest) -> Vec<u8> {
    let pitch = u32::from_str_radix(&digest.to_string()[..4], 16).expect("hexadecimal");
    let period = i32::try_from(RATE / (220 + pitch % 660)).expect("a short period");
    let samples = (0..i32::try_from(SAMPLES).expect("few samples")).flat_map(|sample| {
        let place = sample % period;
        let wave = (4 * place - 2 * period).abs() - period;
        let left = i32::try_from(SAMPLES).expect("few samples") - sample;
        let value = wave * LOUDNESS / period * (left / 16) / (i32::try_from(SAMPLES).expect("few samples") / 16);
        i16::try_from(value).unwrap_or_default().to_le_bytes()
    });
    let bytes = SAMPLES * 2;
    let mut file = Vec::with_capacity(44 + bytes as usize);
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples);
    file
}
