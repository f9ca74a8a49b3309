//! Signatures of requests to S3: AWS Signature Version 4, of requests without a query.

use ring::hmac;

use super::{hex, sha256};

/// Who signs, and for which region.
pub(super) struct Signer<'s> {
    pub(super) access_key_id: &'s str,
    pub(super) secret_access_key: &'s str,
    pub(super) region: &'s str,
}

impl Signer<'_> {
    /// Value of the header `Authorization`. `path` is escaped; `headers` have names in lower case and are sorted; one of
    /// them is `x-amz-date`, whose value is `date` (`20130524T000000Z`), and `host` is another.
    pub(super) fn authorization(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body_sha256: &str,
        date: &str,
    ) -> String {
        let day = date.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let request = format!("{method}\n{path}\n\n{lines}\n{names}\n{body_sha256}");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request.as_bytes()));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", self.secret_access_key).as_bytes());
        for part in [day, self.region, "s3", "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        let signature = hmac::sign(&key, text.as_bytes());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.access_key_id,
            hex(signature.as_ref())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example "GET Object" of AWS's documentation.
    #[test]
    fn a_request_is_signed_as_amazon_says() {
        let signer = Signer {
            access_key_id: "AKIAIOSFODNN7EXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
        };
        let (empty, date) = (sha256(b""), "20130524T000000Z");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", &*empty),
            ("x-amz-date", date),
        ];
        assert_eq!(
            signer.authorization("GET", "/test.txt", &headers, &empty, date),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }
}
