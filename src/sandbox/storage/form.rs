//! An upload as a form: `multipart/form-data`, read as stores read it, strictly: the fields first, the file last.

/// A form that was sent.
#[derive(Debug, PartialEq)]
pub(super) struct Form<'a> {
    /// Names and values, in their order.
    pub(super) fields: Vec<(String, String)>,
    /// The content of `file`.
    pub(super) file: &'a [u8],
}

/// Reads a form, or says why it is none.
pub(super) fn read<'a>(content_type: &str, body: &'a [u8]) -> Result<Form<'a>, String> {
    let boundary = boundary(content_type).ok_or("expected multipart/form-data with a boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    let opening = &delimiter.as_bytes()[2..];
    let mut rest = body.strip_prefix(opening).ok_or("the body does not begin with the boundary")?;
    let mut fields = Vec::new();
    let mut file = None;
    while !rest.starts_with(b"--") {
        if file.is_some() {
            return Err("nothing may follow the field `file`".to_owned());
        }
        let part = rest.strip_prefix(b"\r\n").ok_or("a boundary is not followed by a line break")?;
        let head = find(part, b"\r\n\r\n").ok_or("a part has no end of its head")?;
        let content = &part[head + 4..];
        let end = find(content, delimiter.as_bytes()).ok_or("a part has no end")?;
        let name = name(&part[..head]).ok_or("a part has no name")?;
        rest = &content[end + delimiter.len()..];
        if name == "file" {
            file = Some(&content[..end]);
        } else {
            let value = std::str::from_utf8(&content[..end]).map_err(|_| format!("field `{name}` is not text"))?;
            fields.push((name, value.to_owned()));
        }
    }
    Ok(Form { fields, file: file.ok_or("the field `file` is missing")? })
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"')).filter(|boundary| !boundary.is_empty())
}

fn name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    line.split(';').find_map(|part| part.trim().strip_prefix("name=")).map(|name| name.trim_matches('"').to_owned())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xyz\"";

    fn field(name: &str, value: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    fn file(bytes: &str) -> String {
        format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n{bytes}\r\n"
        )
    }

    #[test]
    fn fields_and_a_file_are_read() {
        let body = format!("{}{}{}--xyz--\r\n", field("key", "a"), field("policy", "b\r\nc"), file("\r\n--x\r\n"));
        let form = read(TYPE, body.as_bytes()).expect("a form");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(form.fields, [pair("key", "a"), pair("policy", "b\r\nc")]);
        assert_eq!(form.file, b"\r\n--x\r\n");
    }

    #[test]
    fn what_is_no_such_form_is_told() {
        for (kind, body, told) in [
            ("image/png", file("a"), "expected multipart"),
            ("multipart/form-data", file("a"), "expected multipart"),
            (TYPE, "nothing".to_owned(), "does not begin"),
            (TYPE, format!("{}--xyz--", field("key", "a")), "`file` is missing"),
            (TYPE, format!("{}{}--xyz--", file("a"), field("key", "a")), "nothing may follow"),
            (TYPE, format!("{}--xyzq", field("key", "a")), "not followed"),
            (TYPE, file("a"), "has no end"),
            (TYPE, file("a").trim_end().to_owned(), "has no end"),
        ] {
            let error = read(kind, body.as_bytes()).expect_err(&body);
            assert!(error.contains(told), "{body}: {error}");
        }
    }
}
