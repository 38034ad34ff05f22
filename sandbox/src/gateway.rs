//! What mail gateways do to a mail on its way: each transform a pure function from octets to octets, named, with a product that
//! does it. A mail goes in as it left, what comes out is what arrives.

mod encodings;
mod footers;
mod heads;
mod lines;
mod mime;
mod stripping;
pub mod trial;
mod types;
mod wrapping;

/// One thing that a gateway does.
#[derive(Debug, Clone, Copy)]
pub struct Transform {
    /// Its name, unique.
    pub name: &'static str,
    /// Who does it, or when it happens.
    pub product: &'static str,
    /// Mail as it left -> mail as it arrives. Total: whatever is no mail of parts comes out as good as it went in.
    pub apply: fn(&[u8]) -> Vec<u8>,
}

const fn transform(name: &'static str, product: &'static str, apply: fn(&[u8]) -> Vec<u8>) -> Transform {
    Transform { name, product, apply }
}

/// All of them.
#[must_use]
pub fn transforms() -> Vec<Transform> {
    [
        footers::TRANSFORMS,
        encodings::TRANSFORMS,
        types::TRANSFORMS,
        stripping::TRANSFORMS,
        heads::TRANSFORMS,
        lines::TRANSFORMS,
        wrapping::TRANSFORMS,
    ]
    .concat()
}

#[cfg(test)]
mod tests;
