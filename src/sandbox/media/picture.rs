//! A picture that shows text: a ground coloured after a digest, a title, the inputs below it. With a palette of 256 colours, so
//! that it is small and quick to make.

use font8x8::{BASIC_FONTS, GREEK_FONTS, HIRAGANA_FONTS, LATIN_FONTS, UnicodeFonts};

use crate::id::Digest;

/// The longest side, in pixels, of wide pictures; others are less wide, so that all have a like size.
const LONGEST: u32 = 640;
const SQUARE: u32 = 480;
const MARGIN: u32 = 24;

/// The colours of the palette: the first are the ground, from its top to its bottom.
const GROUND: u8 = 200;
const WHITE: u8 = 200;
const DIM: u8 = 201;
const ACCENT: u8 = 202;

/// Draws a picture of this ratio.
pub(super) fn draw(title: &str, lines: &[(String, String)], ratio: (u32, u32), digest: Digest) -> Vec<u8> {
    let (width, height) = size(ratio);
    let mut canvas = Canvas::new(width, height);
    canvas.ground(digest);
    let bottom = height - MARGIN - 8;
    let mut top = canvas.text(title, MARGIN, 3, WHITE, bottom) + 6;
    canvas.bar(MARGIN, top, 72, 4, ACCENT);
    top += 20;
    for (label, value) in lines {
        if top + 24 > bottom {
            break;
        }
        if !label.is_empty() {
            top = canvas.text(label, top, 1, DIM, bottom) + 2;
        }
        top = canvas.text(value, top, 2, WHITE, bottom) + 10;
    }
    canvas.text(&format!("dagwood sandbox  {}", &digest.to_string()[..8]), height - MARGIN, 1, DIM, height);
    canvas.encode(&palette(digest))
}

fn size((width, height): (u32, u32)) -> (u32, u32) {
    let fit = |long: u32, short: u32, most: u32| (most * short / long).max(160);
    match width.cmp(&height) {
        std::cmp::Ordering::Equal => (SQUARE, SQUARE),
        std::cmp::Ordering::Greater => (LONGEST, fit(width, height, LONGEST)),
        std::cmp::Ordering::Less => (fit(height, width, LONGEST), LONGEST),
    }
}

/// Returns 256 colours: the ground goes from one dark hue to a neighbour of it.
fn palette(digest: Digest) -> Vec<u8> {
    let hue = u32::from_str_radix(&digest.to_string()[..4], 16).expect("hexadecimal") % 1536;
    let (from, to) = (colour(hue, 110, 26), colour((hue + 220) % 1536, 150, 70));
    let mut palette: Vec<u8> = (0..u32::from(GROUND))
        .flat_map(|step| {
            std::array::from_fn::<u8, 3, _>(|part| {
                let last = u32::from(GROUND) - 1;
                let mixed = u32::from(from[part]) * (last - step) + u32::from(to[part]) * step;
                u8::try_from(mixed / last).expect("between two bytes")
            })
        })
        .collect();
    palette.extend([0xF6, 0xF5, 0xF2]);
    palette.extend([0xB9, 0xBC, 0xC6]);
    palette.extend(colour((hue + 700) % 1536, 235, 120));
    palette.resize(768, 0);
    palette
}

/// Returns a colour of the wheel of 1536 hues, its channels between `low` and `high`.
fn colour(hue: u32, high: u32, low: u32) -> [u8; 3] {
    let rising = hue % 256;
    let (full, none, up, down) = (255, 0, rising, 255 - rising);
    let [red, green, blue] = match hue / 256 {
        0 => [full, up, none],
        1 => [down, full, none],
        2 => [none, full, up],
        3 => [none, down, full],
        4 => [up, none, full],
        _ => [full, none, down],
    };
    [red, green, blue].map(|part| u8::try_from(low + part * (high - low) / 255).expect("at most `high`"))
}

/// Pixels as numbers of colours.
struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: u32, height: u32) -> Self {
        Self { width, height, pixels: vec![0; (width * height) as usize] }
    }

    /// Fills the ground: bands from top to bottom, tilted by the digest.
    fn ground(&mut self, digest: Digest) {
        let tilt = u32::from_str_radix(&digest.to_string()[4..6], 16).expect("hexadecimal") % 64;
        let last = u32::from(GROUND) - 1;
        for row in 0..self.height {
            for column in 0..self.width {
                let place = (row * 256 + column * tilt) * last / (self.height * 256 + self.width * tilt);
                self.set(column, row, u8::try_from(place.min(last)).expect("a colour of the ground"));
            }
        }
    }

    fn set(&mut self, column: u32, row: u32, colour: u8) {
        if column < self.width && row < self.height {
            self.pixels[(row * self.width + column) as usize] = colour;
        }
    }

    fn bar(&mut self, left: u32, top: u32, width: u32, height: u32, colour: u8) {
        for row in top..top + height {
            for column in left..left + width {
                self.set(column, row, colour);
            }
        }
    }

    /// Writes a text from `top` on, wrapped at words, until `bottom`; returns where it ended.
    fn text(&mut self, text: &str, mut top: u32, scale: u32, colour: u8, bottom: u32) -> u32 {
        let columns = ((self.width - 2 * MARGIN) / (8 * scale)) as usize;
        for line in wrap(text, columns) {
            if top + 8 * scale > bottom {
                break;
            }
            for (place, character) in (0..).zip(line.chars()) {
                self.glyph(character, MARGIN + place * 8 * scale, top, scale, colour);
            }
            top += 8 * scale + 2 * scale;
        }
        top
    }

    fn glyph(&mut self, character: char, left: u32, top: u32, scale: u32, colour: u8) {
        let glyph = BASIC_FONTS
            .get(character)
            .or_else(|| LATIN_FONTS.get(character))
            .or_else(|| GREEK_FONTS.get(character))
            .or_else(|| HIRAGANA_FONTS.get(character))
            // A frame, for what the font does not have.
            .unwrap_or([0x7E, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7E, 0x00]);
        for (row, bits) in (0..).zip(glyph) {
            for column in (0..8).filter(|column| bits & (1 << column) != 0) {
                self.bar(left + column * scale, top + row * scale, scale, scale, colour);
            }
        }
    }

    fn encode(&self, palette: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_palette(palette.to_vec());
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels))
            .expect("a picture can be written to memory");
        bytes
    }
}

fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= columns {
                line.extend(std::iter::repeat_n(' ', gap));
                line.extend(word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            // A word that is longer than a line is cut.
            let rest = word.split_off(columns);
            line.extend(word);
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_long_words_are_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn any_text_and_ratio_can_be_drawn() {
        for ratio in [(1, 1), (16, 9), (9, 16), (100, 1), (1, 100)] {
            let lines = vec![("ßλあ".to_owned(), "字 ".repeat(5000)); 30];
            assert!(!draw(&"T".repeat(500), &lines, ratio, Digest::of(b"x")).is_empty());
        }
    }
}
