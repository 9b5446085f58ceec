//! The context of a trace as W3C Trace Context writes it: which trace a request belongs to, and whether it is recorded.

/// One `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace. Never all zero.
    pub(crate) trace_id: [u8; 16],
    /// The span that calls. Never all zero.
    pub(crate) span_id: [u8; 8],
    /// Whether the caller records it.
    pub(crate) is_sampled: bool,
}

/// Bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// The flag of recorded traces; the other bits are not for us to pass on (section 3.2.2.5).
const SAMPLED: u8 = 1;

impl TraceContext {
    /// Reads one (section 3.2). Of a later version what version 00 has is read (section 4.3).
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let [version] = hex(known.get(..2)?)?;
        let is_whole = match (version, rest.first()) {
            (0xff, _) => false,
            (_, None) => true,
            (0, Some(_)) => false,
            (_, Some(next)) => *next == b'-',
        };
        if !is_whole
            || [2, 35, 52]
                .iter()
                .any(|dash| known.get(*dash) != Some(&b'-'))
        {
            return None;
        }
        let context = Self {
            trace_id: hex(known.get(3..35)?)?,
            span_id: hex(known.get(36..52)?)?,
            is_sampled: hex::<1>(known.get(53..)?)?[0] & SAMPLED != 0,
        };
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// As it is sent on.
    pub(crate) fn header(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id);
        write_hex(&mut text[36..52], &self.span_id);
        text[54] += u8::from(self.is_sampled);
        text
    }

    /// The same as text.
    pub(crate) fn text(&self) -> String {
        self.header().iter().map(|byte| char::from(*byte)).collect()
    }

    /// The trace's id, for a line.
    pub(crate) fn trace_text(&self) -> String {
        let mut text = [0; 32];
        write_hex(&mut text, &self.trace_id);
        text.iter().map(|byte| char::from(*byte)).collect()
    }
}

/// Lower case only, as section 3.2.2 has it.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == N * 2).then_some(bytes)
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_writes_it() {
        let read = TraceContext::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(read.trace_text(), "0af7651916cd43dd8448eb211c80319c");
        assert!(read.is_sampled);
        assert_eq!(read.header(), *GOOD.as_bytes());
        let not_sampled = GOOD.replace("-01", "-02");
        assert!(
            !TraceContext::parse(not_sampled.as_bytes())
                .unwrap()
                .is_sampled
        );
        let later = GOOD.replacen("00", "cc", 1);
        assert_eq!(TraceContext::parse(later.as_bytes()), Some(read));
        let longer = format!("{later}-what-the-future-brings");
        assert_eq!(TraceContext::parse(longer.as_bytes()), Some(read));
    }

    #[test]
    fn what_is_none_is_none() {
        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            GOOD.replacen("00", "ff", 1),
            format!("{}0", GOOD.replacen("00", "01", 1)),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            GOOD.replace("-01", "-0g"),
            GOOD[..54].to_owned(),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace_id in any::<[u8; 16]>(), span_id in any::<[u8; 8]>(), is_sampled: bool) {
            prop_assume!(trace_id != [0; 16] && span_id != [0; 8]);
            let context = TraceContext { trace_id, span_id, is_sampled };
            prop_assert_eq!(TraceContext::parse(&context.header()), Some(context));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>, tail in "[-0-9a-f]{0,60}") {
            let _ = TraceContext::parse(&bytes);
            if let Some(read) = TraceContext::parse(tail.as_bytes()) {
                prop_assert_eq!(&read.header()[3..52], &tail.as_bytes()[3..52]);
            }
        }
    }
}
